//! # readers: from a supplier's document to an invoice
//!
//! Pure: bytes in, an [`Invoice`] or a reason out. Runs in a confined child process, where a defect in it or in a
//! library that it uses can hurt nobody.

pub mod check;
mod cii;
mod csv;
mod draft;
mod edifact;
pub mod invoice;
pub mod pdf;
mod table;
mod ubl;
pub mod unreadable;
mod x12;
mod xlsx;
mod xml;

pub use invoice::{Invoice, Reading};
pub use unreadable::{Reason, Unreadable};

/// What the sender says about a document. Content goes first: a hint decides only where content does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// The file's name.
    pub file_name: Option<String>,
    /// The media type it was sent with.
    pub content_type: Option<String>,
}

/// How far into a file a PDF's header may stand (PDF 1.7, implementation note 13).
const PDF_HEAD: usize = 1_024;

/// Reads a document of any format that is known.
pub fn read(bytes: &[u8], hints: &Hints) -> Result<Reading, Unreadable> {
    read_with(bytes, hints, &[])
}

/// As [`read`], with templates for layouts of text that the general reader does not get.
pub fn read_with(bytes: &[u8], hints: &Hints, templates: &[pdf::Template]) -> Result<Reading, Unreadable> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::new(Reason::Empty, "there is nothing in the document"));
    }
    let unsupported = |what: &str| Err(Unreadable::new(Reason::Unsupported, what.to_owned()));
    let head = &bytes[..bytes.len().min(PDF_HEAD)];
    match formats::sniff(None, bytes) {
        Some(formats::Kind::Xml) if is_html(head) => return unsupported("a web page, not an invoice format"),
        Some(formats::Kind::Xml) => return of_xml(bytes),
        Some(formats::Kind::X12) => return x12::read(bytes),
        Some(formats::Kind::Edifact) => return edifact::read(bytes),
        Some(formats::Kind::Csv) | None => {}
    }
    if head.windows(5).any(|window| window == b"%PDF-") {
        return pdf::read_with(bytes, hints, templates);
    }
    match bytes {
        [b'P', b'K', 3, 4, ..] => xlsx::read(bytes),
        [0xD0, 0xCF, 0x11, 0xE0, ..] if is_encrypted_office(bytes) => {
            Err(Unreadable::new(Reason::Encrypted, "an Office document that needs a password"))
        }
        [0xD0, 0xCF, 0x11, 0xE0, ..] => unsupported("an Office document of before 2007; send .xlsx"),
        [b'{' | b'[', ..] => unsupported("JSON is no invoice format that is known"),
        _ => match templated(bytes, templates) {
            Some(reading) => reading,
            None => csv::read(bytes, hints),
        },
    }
}

/// Plain text that some template is for.
fn templated(bytes: &[u8], templates: &[pdf::Template]) -> Option<Result<Reading, Unreadable>> {
    if templates.is_empty() {
        return None;
    }
    let text = pdf::Text::of_plain(&formats::text::decode(bytes).ok()?);
    let wanted = templates.iter().any(|template| template.matches(&text));
    wanted.then(|| pdf::read_text(&text, templates))
}

fn is_html(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.starts_with("<html")
}

/// An encrypted package has a stream of this name in its directory (MS-OFFCRYPTO, 2.3.4.4), in UTF-16.
fn is_encrypted_office(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(name.len()).any(|window| window == name)
}

/// Reads an XML document: UBL, CII, ZUGFeRD 1.0; also inside the envelope in which networks send it.
pub fn of_xml(xml: &[u8]) -> Result<Reading, Unreadable> {
    let text = formats::text::decode_xml(xml)?;
    let document = formats::xml::Document::parse(&text)?;
    let root = document.root();
    // UN/CEFACT Standard Business Document Header 1.3: the header, then the document itself.
    let is_envelope = root.tag_name().name() == "StandardBusinessDocument";
    let enveloped = root
        .children()
        .find(|child| child.is_element() && child.tag_name().name() != "StandardBusinessDocumentHeader");
    let root = enveloped.filter(|_| is_envelope).unwrap_or(root);
    let (name, namespace) = (root.tag_name().name(), root.tag_name().namespace().unwrap_or_default());
    let ubl = ubl::ROOTS.iter().find(|(root, uri, _)| *root == name && *uri == namespace);
    let cii = cii::ROOTS.iter().find(|(root, uri, _)| *root == name && namespace.starts_with(uri));
    let invoice = match (ubl, cii) {
        (Some((_, _, kind)), _) => ubl::read(&document, root, *kind)?,
        (_, Some((_, _, format))) => cii::read(&document, root, *format)?,
        _ => return Err(other_xml(name, namespace)),
    };
    Ok(Reading { invoices: vec![invoice], pages: Vec::new() })
}

/// Documents of the same families that are something else, and all other XML.
fn other_xml(name: &str, namespace: &str) -> Unreadable {
    let is_trade = ["urn:oasis:names:specification:ubl:", "urn:un:unece:uncefact:data:", "urn:ferd:"]
        .iter()
        .any(|family| namespace.starts_with(family));
    let shown: String = name.chars().take(64).collect();
    if is_trade {
        return Unreadable::new(Reason::NotAnInvoice, format!("the document is a `{shown}`, not an invoice"));
    }
    Unreadable::new(
        Reason::Unsupported,
        format!("XML with the root `{shown}` is no invoice format that is known"),
    )
}
