//! What [`Schemas`] promise, one case a promise.
//!
//! The registry under test has [`KNOWN`] registered, and may have anything else.
//! `ports::schemas_suite!(open)` makes a test of every case, where `open().await` returns the schemas and
//! whatever must live as long as they do.

use std::sync::Arc;

use crate::schemas::{Error, Schemas};

/// What is registered: subjects and texts.
pub const KNOWN: [(&str, &str); 3] = [
    ("suite-a-value", r#"{"type":"record","name":"A","fields":[]}"#),
    ("suite-b-value", r#"{"type":"record","name":"B","fields":[]}"#),
    ("suite-b-value", r#"{"type":"record","name":"B","fields":[{"name":"x","type":"int","default":0}]}"#),
];

/// A test of every case. `$open` is an async function without arguments that returns
/// `(Arc<dyn Schemas>, impl Sized)`, or an `Option` of it: `None`, said aloud by `$open`, where there is no
/// server.
#[macro_export]
macro_rules! schemas_suite {
    ($open:path) => {
        $crate::schemas_suite!(@cases $open: ids_are_stable_and_differ, an_id_leads_to_its_text,
            what_is_not_registered_is_unknown);
    };
    (@cases $open:path: $($case:ident),+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let Some((schemas, _held)) = Option::from($open().await) else { return };
                $crate::suite::schemas::$case(&schemas).await;
            }
        )+
    };
}

/// A schema has the same id whenever it is asked for, and another one than any other schema.
pub async fn ids_are_stable_and_differ(schemas: &Arc<dyn Schemas>) {
    let mut ids = Vec::new();
    for (subject, text) in KNOWN {
        let id = schemas.id(subject, text).await.expect("a registered schema");
        assert_eq!(schemas.id(subject, text).await, Ok(id));
        assert!(!ids.contains(&id), "{id} twice");
        ids.push(id);
    }
}

/// An id leads to the text that it was given for.
pub async fn an_id_leads_to_its_text(schemas: &Arc<dyn Schemas>) {
    for (subject, text) in KNOWN {
        let id = schemas.id(subject, text).await.expect("a registered schema");
        assert_eq!(schemas.schema(id).await.as_deref(), Ok(text));
    }
}

/// Another subject, another text or an id that was never given: unknown, and never registered on the way.
pub async fn what_is_not_registered_is_unknown(schemas: &Arc<dyn Schemas>) {
    let [(subject, text), (_, other), _] = KNOWN;
    for _ in 0..2 {
        for (subject, text) in [("suite-nobody-value", text), (subject, other)] {
            let result = schemas.id(subject, text).await;
            assert!(matches!(result, Err(Error::Unknown(_))), "{subject}: {result:?}");
        }
    }
    let result = schemas.schema(0x7fff_fff0).await;
    assert!(matches!(result, Err(Error::Unknown(_))), "{result:?}");
}
