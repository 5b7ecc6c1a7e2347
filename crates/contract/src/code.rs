//! Stable codes: one for every error that a person sees, each with a page in `docs/errors/`.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:literal;)*) => {
        /// A stable error code. The text never changes; a code is never used for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of this file.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as it is written on the wire and in file names.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The HTTP status that an answer with this code has (RFC 9110).
            pub fn http_status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }
        }
    };
}

codes! {
    // The body as JSON.
    /// The body is not JSON (RFC 8259).
    JsonSyntax = "json-syntax", 400;
    /// The body is not UTF-8 without a byte order mark, or holds a lone surrogate.
    JsonEncoding = "json-encoding", 400;
    /// The body is nested too deep.
    JsonTooDeep = "json-too-deep", 400;
    /// A key occurs twice in one object.
    JsonDuplicateKey = "json-duplicate-key", 400;
    /// A number's exponent is absurd.
    JsonNumberRange = "json-number-range", 400;

    // The envelope, or the CloudEvent.
    /// A required field of the envelope is absent.
    EnvelopeFieldMissing = "envelope-field-missing", 400;
    /// A field of the envelope has the wrong type.
    EnvelopeFieldInvalid = "envelope-field-invalid", 400;
    /// The CloudEvent breaks CloudEvents 1.0.
    CloudEventInvalid = "cloudevent-invalid", 400;
    /// Not a vendor id.
    VendorIdInvalid = "vendor-id-invalid", 400;
    /// Not an event type.
    EventTypeInvalid = "event-type-invalid", 400;
    /// Not an external event id.
    ExternalEventIdInvalid = "external-event-id-invalid", 400;
    /// `occurredAt` is not an RFC 3339 date-time with an offset.
    OccurredAtInvalid = "occurred-at-invalid", 400;
    /// `occurredAt` lies before 2000 or too far ahead.
    OccurredAtOutOfRange = "occurred-at-out-of-range", 400;
    /// Not an ingest id.
    IngestIdInvalid = "ingest-id-invalid", 400;

    // The request.
    /// No key, or one that no vendor has.
    Unauthorized = "unauthorized", 401;
    /// The body names another vendor than the key does.
    VendorMismatch = "vendor-mismatch", 403;
    /// No such vendor: its topic exists, and nobody has added it.
    VendorUnknown = "vendor-unknown", 404;
    /// The vendor is disabled.
    VendorDisabled = "vendor-disabled", 403;
    /// Nothing there, or nothing that this vendor may see.
    NotFound = "not-found", 404;
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405;
    /// The body did not arrive in time.
    RequestTimeout = "request-timeout", 408;
    /// The request's body broke off.
    BodyIncomplete = "body-incomplete", 400;
    /// The id is taken by another payload; the first one wins.
    Conflict = "conflict", 409;
    /// The body, or its decoded form, is too large.
    BodyTooLarge = "body-too-large", 413;
    /// More items than a batch may have.
    BatchTooLarge = "batch-too-large", 413;
    /// The media type is missing or not one that this path takes.
    ContentTypeUnsupported = "content-type-unsupported", 415;
    /// The content coding is neither gzip nor identity.
    ContentEncodingUnsupported = "content-encoding-unsupported", 415;
    /// The body is not what its content coding says.
    ContentEncodingInvalid = "content-encoding-invalid", 400;
    /// The vendor sends faster than its limit.
    RateLimited = "rate-limited", 429;
    /// Too many requests are being worked on.
    Overloaded = "overloaded", 503;
    /// A store or the log does not answer.
    Unavailable = "unavailable", 503;
    /// The disk is full.
    StorageFull = "storage-full", 507;
    /// A defect of dvss.
    Internal = "internal", 500;

    // Poison: why a record was quarantined.
    /// A record lacks a header that every record of its topic carries, or its value is not what it must be.
    RecordInvalid = "record-invalid", 422;
    /// A stored object is gone or does not have the checksum that it was written with.
    ObjectCorrupt = "object-corrupt", 422;
    /// No active mapping for the vendor and event type.
    MappingMissing = "mapping-missing", 422;
    /// The payload does not satisfy the mapping's source schema.
    SourceSchemaMismatch = "source-schema-mismatch", 422;
    /// The mapping cannot fill a required field.
    MappingFieldMissing = "mapping-field-missing", 422;
    /// A value does not fit the field's type, enumeration or bound.
    MappingFieldInvalid = "mapping-field-invalid", 422;
    /// A filter failed on this payload.
    MappingFilterFailed = "mapping-filter-failed", 422;
    /// One payload holds more facts than are taken.
    MappingTooManyFacts = "mapping-too-many-facts", 422;
    /// A key part or an entity is too long for the stores.
    EntityTooLong = "entity-too-long", 422;
    /// The winning absolute changed and too many facts follow it; `dvss recompute` folds them.
    FoldTooLong = "fold-too-long", 422;
    /// A fold's result has more digits than are kept.
    FoldOverflow = "fold-overflow", 422;
    /// The payload no longer fits what a stage may write.
    RecordTooLarge = "record-too-large", 422;
    /// Not tried: its vendor has too much in quarantine at this stage.
    OverBudget = "over-budget", 422;

    // Operators.
    /// The mapping document has a mistake.
    MappingInvalid = "mapping-invalid", 400;
    /// A request to the operator API has a mistake.
    RequestInvalid = "request-invalid", 400;
    /// A web page of another origin, or a request for another host, at the operator API.
    ForeignRequest = "foreign-request", 403;
    /// The vendor exists already.
    VendorExists = "vendor-exists", 409;
    /// What was read has changed since.
    VersionConflict = "version-conflict", 412;

    // Invoices.
    /// The job's state does not let it.
    InvoiceState = "invoice-state", 409;
    /// The invoice is applied already; the answer names the job that did it.
    InvoiceApplied = "invoice-applied", 409;
    /// The document was not put yet.
    InvoiceNotUploaded = "invoice-not-uploaded", 409;
    /// The bytes are not those that were announced or submitted.
    InvoiceReplaced = "invoice-replaced", 409;
    /// Lines wait for a person's word.
    InvoiceUnreviewed = "invoice-unreviewed", 422;
    /// The document cannot be read; the message says why.
    InvoiceUnreadable = "invoice-unreadable", 422;
    /// The signed upload address is not one of ours, was changed, or has expired.
    UploadForbidden = "upload-forbidden", 403;
    /// `If-Match` is missing: what is changed is named with its version.
    VersionRequired = "version-required", 428;

    // Start-up and the log.
    /// A committed offset lies outside of the log.
    OffsetOutOfRange = "offset-out-of-range", 500;
    /// A topic that is needed does not exist.
    TopicMissing = "topic-missing", 500;
    /// A topic has other partitions than its document says.
    TopicDrift = "topic-drift", 500;
    /// A table or a bucket that is needed does not exist, or not as it must be.
    StoreMissing = "store-missing", 500;
    /// The registry does not have a schema that this build speaks.
    SchemaMissing = "schema-missing", 500;
    /// A configuration value is wrong.
    ConfigInvalid = "config-invalid", 500;
    /// Another process has the data directory open.
    DataDirectoryLocked = "data-directory-locked", 500;
    /// The data directory was written by another version.
    DataDirectoryFormat = "data-directory-format", 500;
    /// The group still has members.
    GroupNotEmpty = "group-not-empty", 409;
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Code {
    /// Reads a code's text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}
