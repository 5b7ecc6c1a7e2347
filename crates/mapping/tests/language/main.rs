//! The language, from outside: documents and payloads in, facts and mistakes out.

mod constructs;
mod hostile;
mod manual;
mod mistakes;
mod support;
