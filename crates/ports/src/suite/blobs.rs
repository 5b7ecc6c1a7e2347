//! What [`Blobs`] promise, one case a promise.
//!
//! Objects of earlier runs may still be in the bucket. `ports::blobs_suite!(open)` makes a test of every
//! case, where `open().await` returns the bucket and whatever must live as long as it does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::Fingerprint;

use super::tables::fresh;
use super::tables::races::at_once;
use crate::blobs::{Blobs, Condition, Entry, Error, MAX_KEY, MAX_METADATA, Metadata, Page};

/// Writers of a race.
const WRITERS: i64 = 50;

/// A test of every case. `$open` is an async function without arguments that returns
/// `(Arc<dyn Blobs>, impl Sized)`, or an `Option` of it: `None`, said aloud by `$open`, where there is no server.
#[macro_export]
macro_rules! blobs_suite {
    ($open:path) => {
        $crate::blobs_suite!(@cases $open: objects_read_back, the_first_put_stays,
            a_match_replaces_what_it_names, an_absent_object_is_not_found, any_size_is_taken,
            bounds_are_kept, metadata_is_bounded_as_ascii, a_listing_is_ordered_and_paged,
            a_page_has_at_most_a_thousand, one_of_many_puts_wins, no_replacement_is_lost,
            a_version_names_its_bytes);
    };
    (@cases $open:path: $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let Some((blobs, _held)) = Option::from($open().await) else { return };
                $crate::suite::blobs::$case(&blobs).await;
            }
        )+
    };
}

/// Bytes, metadata of any Unicode text, checksum and the put's entity tag read back, under any key.
pub async fn objects_read_back(blobs: &Arc<dyn Blobs>) {
    let name = fresh("read back");
    let metadata: Metadata = [
        ("ingest-id", "01J"),
        ("empty", ""),
        ("unicode", "žluťoučký 🐴, 100% \"quoted\"; a=b\n"),
        ("padded", " x "),
        ("encoded", "%41%2F+"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for tail in ["a.json", "a b+c%2Fd=&?#.json", "ü/🐴", "=/x"] {
        let key = format!("{name}/{tail}");
        let bytes = Bytes::from(format!("the bytes of {tail}\0\r\n"));
        let etag = put(blobs, &key, &bytes, metadata.clone(), Condition::Absent).await.expect("a put");
        let object = blobs.get(&key).await.expect("an object");
        assert_eq!(object.bytes, bytes);
        assert_eq!(object.metadata, metadata, "{key}");
        assert_eq!(object.etag, etag);
        assert_eq!(object.sha256, Fingerprint::of_bytes(&bytes));
    }
}

/// The newest version reads as the object does; a version that was named goes on naming its bytes, or nothing, when
/// the object is replaced.
pub async fn a_version_names_its_bytes(blobs: &Arc<dyn Blobs>) {
    let key = fresh("version");
    assert_eq!(blobs.version(&key, None, 100).await, Err(Error::NotFound));
    let etag = put(blobs, &key, b"first", Metadata::new(), Condition::Absent).await.expect("a put");
    let first = blobs.version(&key, None, 100).await.expect("the newest");
    assert_eq!((&first.bytes[..], first.sha256), (&b"first"[..], Fingerprint::of_bytes(b"first")));
    assert_eq!(blobs.version(&key, None, 5).await, Ok(first.clone()));
    assert_eq!(blobs.version(&key, None, 4).await, Err(Error::TooLarge(5)), "others may put what they like");
    assert_eq!(blobs.version(&key, Some(&first.version), 100).await, Ok(first.clone()), "by its name");
    put(blobs, &key, b"second", Metadata::new(), Condition::Match(etag)).await.expect("replaced");
    let second = blobs.version(&key, None, 100).await.expect("the newest");
    assert_eq!(&second.bytes[..], b"second");
    assert_ne!(second.version, first.version);
    match blobs.version(&key, Some(&first.version), 100).await {
        Ok(kept) => assert_eq!(kept, first),
        Err(error) => assert_eq!(error, Error::NotFound, "a store that keeps one version only"),
    }
}

/// A put under `Absent` fails where an object is, be it the same or another, and changes nothing.
pub async fn the_first_put_stays(blobs: &Arc<dyn Blobs>) {
    let key = fresh("first");
    let metadata = Metadata::from([("n".to_owned(), "1".to_owned())]);
    put(blobs, &key, b"first", metadata.clone(), Condition::Absent).await.expect("a put");
    for bytes in [&b"second"[..], b"first"] {
        let result = put(blobs, &key, bytes, Metadata::new(), Condition::Absent).await;
        assert_eq!(result, Err(Error::Precondition));
    }
    let object = blobs.get(&key).await.expect("an object");
    assert_eq!((&object.bytes[..], object.metadata), (&b"first"[..], metadata));
}

/// A put under `Match` replaces the object that has the tag and no other, nor an absent one. Other bytes
/// have another tag.
pub async fn a_match_replaces_what_it_names(blobs: &Arc<dyn Blobs>) {
    let key = fresh("match");
    let matching = |tag: &str| Condition::Match(tag.to_owned());
    let first = put(blobs, &key, b"1", Metadata::new(), Condition::Absent).await.expect("a put");
    let absent = put(blobs, &format!("{key}#absent"), b"1", Metadata::new(), matching(&first)).await;
    assert_eq!(absent, Err(Error::Precondition));

    let metadata = Metadata::from([("n".to_owned(), "2".to_owned())]);
    let second = put(blobs, &key, b"2", metadata.clone(), matching(&first)).await.expect("a replacement");
    assert_ne!(first, second);
    let late = put(blobs, &key, b"3", Metadata::new(), matching(&first)).await;
    assert_eq!(late, Err(Error::Precondition));
    let object = blobs.get(&key).await.expect("an object");
    assert_eq!((&object.bytes[..], object.metadata, object.etag), (&b"2"[..], metadata, second));
}

/// Where nothing was put, nothing is found.
pub async fn an_absent_object_is_not_found(blobs: &Arc<dyn Blobs>) {
    let key = fresh("absent");
    assert_eq!(blobs.get(&key).await, Err(Error::NotFound));
    put(blobs, &format!("{key}/below"), b"x", Metadata::new(), Condition::Absent).await.expect("a put");
    assert_eq!(blobs.get(&key).await, Err(Error::NotFound));
    assert_eq!(blobs.list(&format!("{key}-"), None, 10).await, Ok(Page::default()));
}

/// Objects of no bytes and of some megabytes, also one in the place of the other.
pub async fn any_size_is_taken(blobs: &Arc<dyn Blobs>) {
    let key = fresh("size");
    let mut condition = Condition::Absent;
    for size in [0, 1, 16 * 1_024, 16 * 1_024 + 1, 5 * 1_024 * 1_024, 0, 100_000, 7] {
        let bytes: Bytes = (0..size).map(|at| (at % 251) as u8).collect();
        let etag = put(blobs, &key, &bytes, Metadata::new(), condition).await.expect("a put");
        let object = blobs.get(&key).await.expect("an object");
        assert!(object.bytes == bytes, "{size}");
        let entries = blobs.list(&key, None, 10).await.expect("a page").entries;
        assert_eq!(entries, [Entry { key: key.clone(), size: size as u64 }]);
        condition = Condition::Match(etag);
    }
}

/// Keys of 1,024 bytes are taken, longer ones and empty ones are not; a page has at least one entry.
pub async fn bounds_are_kept(blobs: &Arc<dyn Blobs>) {
    let name = fresh("bounds");
    let long = |most: usize| -> String {
        let part = |at| if at % 200 == 199 { '/' } else { 'x' };
        name.chars().chain((name.len()..most).map(part)).collect()
    };
    put(blobs, &long(MAX_KEY), b"x", Metadata::new(), Condition::Absent).await.expect("a put");
    for key in [long(MAX_KEY + 1), String::new()] {
        let result = put(blobs, &key, b"x", Metadata::new(), Condition::Absent).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
        assert!(matches!(blobs.get(&key).await, Err(Error::Invalid(_))));
    }
    assert!(matches!(blobs.list(&name, None, 0).await, Err(Error::Invalid(_))));
}

/// Names and values of metadata take 2,048 bytes at most once they are percent-encoded; names are
/// lower-case and such as headers have.
pub async fn metadata_is_bounded_as_ascii(blobs: &Arc<dyn Blobs>) {
    let key = fresh("metadata");
    let filled =
        |name: &str, text: &str, count: usize| Metadata::from([(name.to_owned(), text.repeat(count))]);
    let room = MAX_METADATA - 1;
    for (number, (metadata, taken)) in [
        (filled("m", "x", room), true),
        (filled("m", "x", room + 1), false),
        (filled("m", "ü", room / 6), true),
        (filled("m", "ü", room / 6 + 1), false),
        (filled("m", "%", room / 3), true),
        (filled("m", "%", room / 3 + 1), false),
        (filled("", "x", 1), false),
        (filled("Upper", "x", 1), false),
        (filled("two words", "x", 1), false),
        (filled("ü", "x", 1), false),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("{key}#{number}");
        let result = put(blobs, &key, b"x", metadata.clone(), Condition::Absent).await;
        if taken {
            assert!(result.is_ok(), "{number}: {result:?}");
            assert_eq!(blobs.get(&key).await.expect("an object").metadata, metadata);
        } else {
            assert!(matches!(result, Err(Error::Invalid(_))), "{number}: {result:?}");
            assert_eq!(blobs.get(&key).await, Err(Error::NotFound));
        }
    }
}

/// A listing has the keys with the prefix, in the order of their UTF-8 bytes, behind `after` (which need
/// not be a key), in pages that lose and repeat nothing.
pub async fn a_listing_is_ordered_and_paged(blobs: &Arc<dyn Blobs>) {
    let name = fresh("listing");
    let tails = ["-", "/!", "/2026/01/a", "/2026/01/b", "/2026/02/a", "/A", "/a", "/é", "0", "00", "🐴"];
    for tail in tails.iter().rev() {
        let bytes = vec![b'x'; tail.len()];
        put(blobs, &format!("{name}{tail}"), &bytes, Metadata::new(), Condition::Absent)
            .await
            .expect("a put");
    }
    let list = |prefix: &str, after: Option<&str>, limit: usize| {
        let (prefix, mut after) = (format!("{name}{prefix}"), after.map(|tail| format!("{name}{tail}")));
        let name = name.clone();
        async move {
            let mut found = Vec::new();
            loop {
                let page = blobs.list(&prefix, after.as_deref(), limit).await.expect("a page");
                assert!(page.entries.len() <= limit);
                for entry in page.entries {
                    let tail = entry.key.strip_prefix(&name).expect("the prefix").to_owned();
                    assert_eq!(entry.size, tail.len() as u64, "{tail}");
                    found.push(tail);
                }
                match page.next {
                    None => return found,
                    next => after = next,
                }
            }
        }
    };
    for limit in [1, 2, 3, 11, 12, 5_000] {
        assert_eq!(list("", None, limit).await, tails);
        assert_eq!(list("/", None, limit).await, &tails[1..8]);
        assert_eq!(list("/2026/01/", None, limit).await, &tails[2..4]);
        assert_eq!(list("/2026/01/a", None, limit).await, &tails[2..3]);
        assert_eq!(list("/2026/01/", Some("/2026/01/a"), limit).await, &tails[3..4]);
        assert_eq!(list("", Some("/2026/01/b"), limit).await, &tails[4..]);
        assert_eq!(list("", Some("/2026/01/nobody"), limit).await, &tails[4..]);
        assert_eq!(list("/", Some("-"), limit).await, &tails[1..8]);
        assert!(list("/", Some("0"), limit).await.is_empty());
    }
}

/// A page has at most 1,000 entries, whatever is asked for.
pub async fn a_page_has_at_most_a_thousand(blobs: &Arc<dyn Blobs>) {
    let name = fresh("thousand");
    for tens in 0..21 {
        at_once(50, |ones| {
            let (blobs, key) = (blobs.clone(), format!("{name}/{:04}", tens * 50 + ones));
            async move { put(&blobs, &key, b"x", Metadata::new(), Condition::Absent).await.expect("a put") }
        })
        .await;
    }
    let first = blobs.list(&name, None, usize::MAX).await.expect("a page");
    assert!(first.entries.len() <= 1_000, "{}", first.entries.len());
    let (mut keys, mut next) = (first.entries, first.next);
    while let Some(after) = next {
        let page = blobs.list(&name, Some(&after), 1_000).await.expect("a page");
        keys.extend(page.entries);
        next = page.next;
    }
    let numbers =
        keys.iter().map(|entry| entry.key.rsplit('/').next().and_then(|tail| tail.parse::<i64>().ok()));
    assert!(numbers.eq((0..1_050).map(Some)));
}

/// Of 50 puts of one absent key at once, exactly one happens, and its bytes are there.
pub async fn one_of_many_puts_wins(blobs: &Arc<dyn Blobs>) {
    let key = fresh("put race");
    let results =
        at_once(WRITERS, |number| {
            let (blobs, key) = (blobs.clone(), key.clone());
            async move {
                put(&blobs, &key, number.to_string().as_bytes(), Metadata::new(), Condition::Absent).await
            }
        })
        .await;
    let winners: Vec<_> = (0..).zip(&results).filter(|(_, result)| result.is_ok()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let lost = results.iter().filter(|result| **result == Err(Error::Precondition)).count();
    assert_eq!(lost, results.len() - 1, "{results:?}");
    let (number, etag): &(i64, _) = &winners[0];
    let object = blobs.get(&key).await.expect("an object");
    assert_eq!(object.bytes, number.to_string());
    assert_eq!(Ok(&object.etag), etag.as_ref());
}

/// 50 writers that read an object and replace it under the tag that they have read: nothing is lost.
pub async fn no_replacement_is_lost(blobs: &Arc<dyn Blobs>) {
    let key = fresh("replacements");
    put(blobs, &key, b"0", Metadata::new(), Condition::Absent).await.expect("a put");
    at_once(WRITERS, |_| {
        let (blobs, key) = (blobs.clone(), key.clone());
        async move {
            loop {
                let object = blobs.get(&key).await.expect("an object");
                let before: u64 =
                    std::str::from_utf8(&object.bytes).expect("a number").parse().expect("a number");
                let after = (before + 1).to_string();
                let condition = Condition::Match(object.etag);
                match put(&blobs, &key, after.as_bytes(), Metadata::new(), condition).await {
                    Ok(_) => return,
                    Err(Error::Precondition) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    })
    .await;
    assert_eq!(blobs.get(&key).await.expect("an object").bytes, WRITERS.to_string());
}

/// Puts, as often as the store says that somebody else is writing, for a minute at most.
async fn put(
    blobs: &Arc<dyn Blobs>,
    key: &str,
    bytes: &[u8],
    metadata: Metadata,
    condition: Condition,
) -> Result<String, Error> {
    let bytes = Bytes::copy_from_slice(bytes);
    for _ in 0..1_200 {
        match blobs.put(key, bytes.clone(), metadata.clone(), condition.clone()).await {
            Err(Error::Conflict) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return other,
        }
    }
    panic!("the store does not settle");
}
