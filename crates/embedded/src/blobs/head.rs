//! What stands before an object's bytes. Integers are big-endian.

use contract::Fingerprint;
use ports::blobs::Metadata;

/// Raised when the layout changes; readers keep every older one.
const FORMAT: u8 = 1;

/// What is known of an object besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Whether the bytes are in the tree of large objects.
    pub apart: bool,
    /// Of the bytes as they were written.
    pub sha256: Fingerprint,
    /// How many bytes were written.
    pub size: u64,
    /// What was written beside them.
    pub metadata: Metadata,
}

impl Head {
    /// Of an object to be written.
    pub(super) fn of(bytes: &[u8], metadata: Metadata) -> Self {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { apart: false, sha256: Fingerprint::of_bytes(bytes), size, metadata }
    }

    /// The entity tag.
    pub(super) fn etag(&self) -> String {
        self.sha256.to_string()
    }

    /// Encoded.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, u8::from(self.apart)];
        bytes.extend_from_slice(self.sha256.to_string().as_bytes());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&length(self.metadata.len()));
        for text in self.metadata.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(&length(text.len()));
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// Reads a head and returns what stands behind it; `None` where it is damaged.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let rest = &mut &bytes[..];
        let [FORMAT, apart @ (0 | 1)] = *take(rest, 2)? else { return None };
        let sha256 = Fingerprint::parse(std::str::from_utf8(take(rest, 64)?).ok()?)?;
        let size = u64::from_be_bytes(take(rest, 8)?.try_into().ok()?);
        let mut metadata = Metadata::new();
        for _ in 0..take_length(rest)? {
            metadata.insert(take_text(rest)?, take_text(rest)?);
        }
        Some((Self { apart: apart == 1, sha256, size, metadata }, rest))
    }
}

fn length(length: usize) -> [u8; 4] {
    // Metadata has 2 KB at most.
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(taken)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?)).ok()
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let count = take_length(rest)?;
    std::str::from_utf8(take(rest, count)?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_head_reads_back(
            object in proptest::collection::vec(any::<u8>(), 0..50),
            metadata in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..5),
            apart in any::<bool>(),
        ) {
            let head = Head { apart, ..Head::of(&object, metadata) };
            let bytes = [head.bytes(), object.clone()].concat();
            prop_assert_eq!(Head::read(&bytes), Some((head.clone(), &object[..])));
            for cut in 0..head.bytes().len() {
                prop_assert_eq!(Head::read(&bytes[..cut]), None);
            }
        }
    }

    #[test]
    fn the_layout_is_for_ever() {
        let head = Head::of(b"abc", Metadata::from([("a".to_owned(), "é".to_owned())]));
        let sum = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let rest = [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, b'a', 0, 0, 0, 2, 0xc3, 0xa9];
        assert_eq!(head.bytes(), [&[1, 0][..], sum, &rest].concat());
    }
}
