//! Opening a PDF, within bounds.
//!
//! `hayro` decodes a stream whole and without a limit, at opening already (cross-reference and object streams), so
//! what a file would decompress to is measured before it gets the file, and again, by the objects that it then
//! finds, before any of them is interpreted. Measured here: Flate by decoding it to nowhere, LZW and RunLength by
//! the worst that they can do. Nesting is measured as well: `hayro` takes arrays, forms and page trees of any depth,
//! but the square of their depth for dictionaries within dictionaries, and its stack for PostScript functions.
//! The confined process that readers run in has limits of its own, for what is missed.

use std::cell::Cell;
use std::io::Read;

use hayro::hayro_syntax::object::stream::Stream;
use hayro::hayro_syntax::object::{Array, Name, Object};
use hayro::hayro_syntax::{LoadPdfError, Pdf};

use super::limits;
use crate::{Reason, Unreadable};

/// Opens a PDF.
pub(super) fn open(bytes: &[u8]) -> Result<Pdf, Unreadable> {
    if bytes.len() > limits::FILE_BYTES {
        return Err(too_large(format!("{} bytes: at most {} are read", bytes.len(), limits::FILE_BYTES)));
    }
    measure_file(bytes)?;
    let owned = bytes.to_vec();
    let pdf = guarded(move || Pdf::new(owned))?.map_err(|error| match error {
        LoadPdfError::Decryption(_) => Unreadable::new(Reason::Encrypted, "the PDF needs a password"),
        LoadPdfError::Invalid => Unreadable::new(Reason::Damaged, "not a PDF that can be opened"),
    })?;
    if pdf.len() > limits::OBJECTS {
        return Err(too_large(format!("{} objects: at most {} are read", pdf.len(), limits::OBJECTS)));
    }
    if pdf.pages().len() > limits::PAGES {
        return Err(too_large(format!("{} pages: at most {} are read", pdf.pages().len(), limits::PAGES)));
    }
    if pdf.pages().is_empty() {
        return Err(Unreadable::new(Reason::Damaged, "a PDF without pages"));
    }
    guarded(|| measure_objects(&pdf))??;
    Ok(pdf)
}

/// Runs what may panic on a hostile file: a defect of a library is a damaged document, not a dead reader.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Unreadable> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|payload| {
        match payload.downcast::<Unreadable>() {
            Ok(refusal) => *refusal,
            Err(_) => Unreadable::new(Reason::Damaged, "the PDF could not be interpreted"),
        }
    })
}

pub(super) fn too_large(message: String) -> Unreadable {
    Unreadable::new(Reason::TooLarge, message)
}

/// Decodes every Flate stream that the raw file shows, nested ones too, and counts.
fn measure_file(bytes: &[u8]) -> Result<(), Unreadable> {
    let mut left = limits::DECODED_BYTES;
    // Data that decodes to nothing, begun anew at every keyword, would cost the square of its length.
    let work = Cell::new(16 * bytes.len() as u64 + limits::DECODED_BYTES);
    Depth::default().take(bytes)?;
    let mut at = 0;
    while let Some(found) = find(bytes, at, b"stream") {
        at = found + b"stream".len();
        let rest = bytes.get(at..).unwrap_or_default();
        let start = rest.iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let Some(data) = rest.get(start..) else { break };
        left = left.checked_sub(inflated(data, left, &work)?).ok_or_else(bomb)?;
        if left == 0 || work.get() == 0 {
            return Err(bomb());
        }
    }
    Ok(())
}

/// What zlib data decodes to, in bytes, up to `limit`; what it decodes to is decoded again while it looks like
/// zlib data. 0 for other data.
fn inflated(data: &[u8], limit: u64, work: &Cell<u64>) -> Result<u64, Unreadable> {
    if !is_zlib(data) {
        return Ok(0);
    }
    let mut total = 0;
    for depth in 1..=limits::FILTERS {
        let mut reader: Box<dyn Read + '_> = Box::new(Counted { data, work });
        for _ in 0..depth {
            reader = Box::new(flate2::read::ZlibDecoder::new(reader));
        }
        let mut head = [0; 2];
        let Ok(()) = reader.read_exact(&mut head) else { break };
        total += 2 + drained(reader, limit.saturating_sub(total))?;
        if total >= limit || !is_zlib(&head) {
            break;
        }
    }
    Ok(total)
}

/// Bytes, as long as there is work left.
struct Counted<'a> {
    data: &'a [u8],
    work: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.work.get()).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.data.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.work.set(self.work.get().saturating_sub(read as u64));
        Ok(read)
    }
}

/// Reads to the end, the first defect or the limit; the number of bytes.
fn drained(reader: impl Read, limit: u64) -> Result<u64, Unreadable> {
    let mut reader = reader.take(limit);
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    let mut depth = Depth::default();
    while let Ok(read @ 1..) = reader.read(&mut buffer) {
        total += read as u64;
        depth.take(buffer.get(..read).unwrap_or_default())?;
    }
    Ok(total)
}

/// How deep dictionaries are within one another, over chunks of data.
#[derive(Default)]
struct Depth {
    open: usize,
    last: u8,
}

impl Depth {
    fn take(&mut self, chunk: &[u8]) -> Result<(), Unreadable> {
        for byte in chunk {
            match (self.last, byte) {
                (b'<', b'<') => self.open += 1,
                (b'>', b'>') => self.open = self.open.saturating_sub(1),
                _ => {
                    self.last = *byte;
                    continue;
                }
            }
            // `<<<` is a dictionary and a string's beginning, not two dictionaries.
            self.last = 0;
            if self.open > limits::DEPTH {
                return Err(too_large(format!("dictionaries nested deeper than {}", limits::DEPTH)));
            }
        }
        Ok(())
    }
}

/// RFC 1950: compression method 8, and a checksum over the first two bytes.
fn is_zlib(data: &[u8]) -> bool {
    let [first, second, ..] = data else { return false };
    first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0
}

/// Sums what the objects decode to. Pictures are left out: reading text decodes none, and drawing has bounds of
/// its own.
fn measure_objects(pdf: &Pdf) -> Result<(), Unreadable> {
    let mut left = limits::DECODED_BYTES;
    for object in pdf.objects() {
        let Object::Stream(stream) = object else { continue };
        left = left.checked_sub(decoded_at_most(&stream, left)?).ok_or_else(bomb)?;
        if left == 0 {
            return Err(bomb());
        }
        if stream.dict().get::<i32>("FunctionType") == Some(4) {
            braces(&stream)?;
        }
    }
    Ok(())
}

/// A PostScript function's procedures are within one another as deep as its braces are.
fn braces(stream: &Stream<'_>) -> Result<(), Unreadable> {
    let program = stream.decoded_data().unwrap_or_default();
    let mut open = 0_usize;
    for byte in program.iter() {
        match byte {
            b'{' => open += 1,
            b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > limits::BRACES {
            return Err(too_large(format!("a function nested deeper than {}", limits::BRACES)));
        }
    }
    Ok(())
}

/// Refuses pictures whose pixels would not fit: a few bytes can claim any size.
pub(super) fn pictures_within_bounds(pdf: &Pdf) -> Result<(), Unreadable> {
    guarded(|| {
        let mut pixels = 0_u64;
        for object in pdf.objects() {
            let Object::Stream(stream) = object else { continue };
            let side = |key: &str| stream.dict().get::<u32>(key).map_or(0, u64::from);
            pixels = pixels.saturating_add(side("Width").saturating_mul(side("Height")));
        }
        pixels
    })
    .and_then(|pixels| match pixels {
        0..=limits::PICTURE_PIXELS => Ok(()),
        _ => Err(too_large(format!("pictures of {pixels} pixels"))),
    })
}

/// How many bytes a stream decodes to, at most.
pub(super) fn decoded_at_most(stream: &Stream<'_>, limit: u64) -> Result<u64, Unreadable> {
    let filters = filters(stream);
    let picture = |name: &String| {
        ["DCTDecode", "DCT", "JPXDecode", "JBIG2Decode", "CCITTFaxDecode", "CCF"].contains(&name.as_str())
    };
    if filters.iter().any(picture) {
        return Ok(0);
    }
    let data = stream.raw_data();
    let flate = matches!(filters.as_slice(), [only] if only == "FlateDecode" || only == "Fl");
    if flate && is_zlib(&data) {
        return inflated(&data, limit, &Cell::new(u64::MAX));
    }
    Ok(filters.iter().fold(data.len() as u64, |bytes, filter| bytes.saturating_mul(worst_ratio(filter))))
}

/// The names of a stream's filters, in the order of decoding.
fn filters(stream: &Stream<'_>) -> Vec<String> {
    let dict = stream.dict();
    ["F", "Filter"]
        .into_iter()
        .find_map(|key| match dict.get::<Object<'_>>(key)? {
            Object::Name(name) => Some(vec![name.as_str().to_owned()]),
            Object::Array(names) => Some(named(&names)),
            _ => None,
        })
        .unwrap_or_default()
}

fn named(names: &Array<'_>) -> Vec<String> {
    names.iter::<Name<'_>>().map(|name| name.as_str().to_owned()).take(64).collect()
}

/// How many bytes one byte can become.
fn worst_ratio(filter: &str) -> u64 {
    match filter {
        "FlateDecode" | "Fl" => 1032,
        // 12 bits name a string of up to 4096 bytes.
        "LZWDecode" | "LZW" => 2731,
        "RunLengthDecode" | "RL" => 64,
        // `z` stands for four zeros.
        "ASCII85Decode" | "A85" => 4,
        _ => 1,
    }
}

fn bomb() -> Unreadable {
    too_large(format!("decompresses to more than {} bytes", limits::DECODED_BYTES))
}

fn find(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(needle.len()).position(|window| window == needle).map(|at| from + at)
}
