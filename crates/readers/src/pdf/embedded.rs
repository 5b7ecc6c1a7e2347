//! Files inside a PDF: PDF/A-3's associated files and the tree of embedded files.

use std::collections::HashSet;

use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::object::{Array, Dict, Object, Stream, String as PdfString};

use super::file::{self, too_large};
use super::limits;
use crate::Unreadable;

/// A file inside a PDF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Names that hybrid invoices give to their XML, the newest first; read before any other.
const NAMES: &[&str] = &["factur-x.xml", "xrechnung.xml", "zugferd-invoice.xml"];

/// The XML of a hybrid invoice: by its name, else the first XML whose root is an invoice's.
pub(super) fn invoice_xml(pdf: &Pdf) -> Result<Option<Embedded>, Unreadable> {
    let mut files = file::guarded(|| files(pdf))??;
    files.retain(|file| is_xml(&file.bytes));
    let rank = |file: &Embedded| {
        let name = file.name.to_lowercase();
        NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len())
    };
    files.sort_by_key(rank);
    Ok(files.into_iter().find(|file| rank(file) < NAMES.len() || has_invoice_root(&file.bytes)))
}

/// All embedded files, within bounds.
fn files(pdf: &Pdf) -> Result<Vec<Embedded>, Unreadable> {
    let mut reader = Reader { seen: HashSet::new(), files: Vec::new(), nodes: 0, bytes: 0 };
    let Some(root) = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id()) else { return Ok(Vec::new()) };
    if let Some(tree) = root.get::<Dict<'_>>("Names").and_then(|names| names.get::<Dict<'_>>("EmbeddedFiles"))
    {
        reader.tree(&tree)?;
    }
    if let Some(associated) = root.get::<Array<'_>>("AF") {
        for specification in associated.iter::<Dict<'_>>().take(limits::EMBEDDED_FILES) {
            reader.file(&specification)?;
        }
    }
    for page in pdf.pages().iter() {
        let Some(associated) = page.raw().get::<Array<'_>>("AF") else { continue };
        for specification in associated.iter::<Dict<'_>>().take(limits::EMBEDDED_FILES) {
            reader.file(&specification)?;
        }
    }
    Ok(reader.files)
}

struct Reader {
    seen: HashSet<Vec<u8>>,
    files: Vec<Embedded>,
    nodes: usize,
    bytes: u64,
}

impl Reader {
    /// A names tree, without recursion and with a bound: its nodes may refer to themselves.
    fn tree(&mut self, root: &Dict<'_>) -> Result<(), Unreadable> {
        let mut open = vec![root.clone()];
        while let Some(node) = open.pop() {
            self.nodes += 1;
            if self.nodes > limits::TREE_NODES {
                return Err(too_large(format!("more than {} nodes of embedded files", limits::TREE_NODES)));
            }
            if let Some(kids) = node.get::<Array<'_>>("Kids") {
                open.extend(kids.iter::<Dict<'_>>().take(limits::TREE_NODES));
            }
            let Some(names) = node.get::<Array<'_>>("Names") else { continue };
            for entry in names.iter::<Object<'_>>().take(2 * limits::TREE_NODES) {
                if let Object::Dict(specification) = entry {
                    self.file(&specification)?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, specification: &Dict<'_>) -> Result<(), Unreadable> {
        let Some(contents) = specification.get::<Dict<'_>>("EF") else { return Ok(()) };
        let Some(stream) = ["UF", "F"].into_iter().find_map(|key| contents.get::<Stream<'_>>(key)) else {
            return Ok(());
        };
        let name = ["UF", "F"]
            .into_iter()
            .find_map(|key| specification.get::<PdfString<'_>>(key))
            .map(|name| text(name.as_bytes()))
            .unwrap_or_default();
        // A PDF may have its orders, drawings and conditions with it; only XML is decoded.
        if !name.to_lowercase().ends_with(".xml") {
            return Ok(());
        }
        let raw = stream.raw_data();
        let key: Vec<u8> = raw.iter().copied().take(4096).chain((raw.len() as u64).to_be_bytes()).collect();
        if !self.seen.insert(key) {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(file::decoded_at_most(&stream, limits::EMBEDDED_BYTES)?);
        if self.bytes > limits::EMBEDDED_BYTES || self.files.len() >= limits::EMBEDDED_FILES {
            return Err(too_large("embedded files: too many, or too large".to_owned()));
        }
        if let Ok(bytes) = stream.decoded() {
            self.files.push(Embedded { name, bytes: bytes.into_owned() });
        }
        Ok(())
    }
}

/// A text string: UTF-16 with a mark, UTF-8 with one, else Latin-1 as far as names go.
fn text(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units: Vec<u16> =
                rest.chunks_exact(2).map(|pair| u16::from(pair[0]) << 8 | u16::from(pair[1])).collect();
            String::from_utf16_lossy(&units)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn is_xml(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    let utf16 = matches!(head, [0xfe, 0xff, ..] | [0xff, 0xfe, ..]);
    utf16
        || head.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf))
            == Some(&b'<')
}

/// Looks for an invoice's root in the beginning; what it really is, the XML reader tells.
fn has_invoice_root(bytes: &[u8]) -> bool {
    let head =
        String::from_utf8_lossy(bytes.get(..bytes.len().min(8192)).unwrap_or_default()).replace('\0', "");
    ["CrossIndustryInvoice", "CrossIndustryDocument", "Invoice-2", "CreditNote-2"]
        .iter()
        .any(|root| head.contains(root))
}
