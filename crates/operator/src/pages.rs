//! Lists that may be long, in pages: how a request asks for one, and how an answer says where to go on.

use contract::Fingerprint;
use ports::tables::Cursor;

use crate::problem::Problem;

/// Rows of a page where nobody asks for another number.
const USUAL: usize = 100;
/// Most rows of a page.
const MOST: usize = 1_000;
/// Most rows that are looked at for one page: where few are wanted it has fewer, even none, and says where
/// to go on.
pub const MOST_LOOKED_AT: usize = 10_000;
/// Digits of a cursor's check.
const CHECK: usize = 8;

/// How many rows a request asks for.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        other => Err(Problem::invalid(format!("limit {other}: a page has 1 to {MOST} rows"))),
    }
}

/// One page: `limit` of the rows that are wanted, from `after` on, and where to go on. `read` gives a part of the
/// list from a cursor on, of so many rows at most, wanted or not.
pub async fn page<T, E, F>(
    limit: usize,
    mut after: Option<Cursor>,
    wants: impl Fn(&T) -> bool,
    read: impl Fn(Option<Cursor>, usize) -> F,
) -> Result<(Vec<T>, Option<Cursor>), E>
where
    F: Future<Output = Result<(Vec<T>, Option<Cursor>), E>>,
{
    let (mut found, mut looked_at, mut most) = (Vec::new(), 0, limit);
    loop {
        let (mut rows, mut next) = read(after.clone(), most).await?;
        looked_at += most;
        // A cursor stands where a read ended, so that one which ends too late is done again and ends in time.
        let mut wanted = rows.iter().enumerate().filter(|(_, row)| wants(row)).map(|(index, _)| index);
        let fills = wanted.nth(limit - found.len() - 1);
        if let Some(index) = fills.filter(|index| index + 1 < rows.len()) {
            (rows, next) = read(after, index + 1).await?;
        }
        found.extend(rows.into_iter().filter(|row| wants(row)));
        after = next;
        if after.is_none() || found.len() >= limit || looked_at >= MOST_LOOKED_AT {
            return Ok((found, after));
        }
        // Where few are wanted more are looked at.
        most = (2 * most).min(MOST);
    }
}

/// A cursor as an answer has it, of the list that `of` names: digits, for the store's may hold anything, and a
/// check, for the store could not tell a garbled one from damage.
pub fn write(of: &str, cursor: Option<Cursor>) -> Option<String> {
    cursor.map(|Cursor(at)| {
        let text = format!("{of}\n{at}");
        format!("{}{}", check(&text), hex::encode(text))
    })
}

fn check(text: &str) -> String {
    Fingerprint::of_bytes(text.as_bytes()).to_string().chars().take(CHECK).collect()
}

/// Reads what [`write`] wrote for the same list.
pub fn read(of: &str, text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parts = text.split_at_checked(CHECK);
    let decoded = parts.and_then(|(_, digits)| String::from_utf8(hex::decode(digits).ok()?).ok());
    let whole = decoded.as_deref().filter(|decoded| parts.is_some_and(|(first, _)| first == check(decoded)));
    let at = whole.and_then(|text| text.strip_prefix(of)?.strip_prefix('\n'));
    let wrong = || Problem::invalid("the cursor is not `next` of a page of this very list");
    at.map(|at| Some(Cursor(at.to_owned()))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list() {
        let at = Cursor("a\0b\n".to_owned());
        let text = write("stage", Some(at.clone())).expect("a cursor");
        assert_eq!(read("stage", Some(&text)).expect("its own"), Some(at));
        assert_eq!(read("stage", None).expect("the start"), None);
        for (of, text) in [("", text.as_str()), ("stag", &text), ("stage", "??"), ("stage", "ff")] {
            assert!(read(of, Some(text)).is_err(), "{of:?} {text:?}");
        }
    }

    #[test]
    fn a_garbled_cursor_is_told_apart() {
        let text = write("", Some(Cursor("acme#7".to_owned()))).expect("a cursor");
        for at in 0..text.len() {
            let digit = if &text[at..=at] == "0" { "1" } else { "0" };
            for garbled in [format!("{}{digit}{}", &text[..at], &text[at + 1..]), text[..at].to_owned()] {
                assert!(read("", Some(&garbled)).is_err(), "{garbled}");
            }
        }
    }

    /// A list of the numbers below this one; counts how often it is read.
    const NUMBERS: usize = 20_000;

    async fn page_of(
        limit: usize,
        after: Option<Cursor>,
        wants: impl Fn(&usize) -> bool,
    ) -> (Vec<usize>, Option<Cursor>, usize) {
        let reads = std::cell::Cell::new(0);
        let read = |after: Option<Cursor>, most: usize| {
            reads.set(reads.get() + 1);
            let start = after.map_or(0, |Cursor(at)| at.parse().expect("a number"));
            let end = NUMBERS.min(start + most);
            let next = (end < NUMBERS).then(|| Cursor(end.to_string()));
            async move { Ok::<_, ports::tables::Error>(((start..end).collect(), next)) }
        };
        let (rows, next) = page(limit, after, wants, read).await.expect("no store");
        (rows, next, reads.get())
    }

    #[tokio::test]
    async fn a_page_takes_few_reads_however_few_are_wanted() {
        // All but one of a page are found at once, and the last one far behind.
        let almost = |number: &usize| *number < 99 || *number == 9_000;
        let (rows, next, reads) = page_of(100, None, almost).await;
        assert_eq!((rows.len(), next), (100, Some(Cursor("9001".to_owned()))));
        assert!(reads <= 16, "{reads}");
        let (rows, next, reads) = page_of(1, None, |_| false).await;
        assert!(rows.is_empty() && next.is_some() && reads <= 20, "{reads}");
        assert_eq!(page_of(100, None, |_| true).await.2, 1, "what is wanted whole is read once");
    }

    #[tokio::test]
    async fn every_row_is_on_one_page() {
        for (every, limit) in [(1, 1_000), (2, 7), (3, 1_000), (997, 1), (7_001, 5)] {
            let wants = |number: &usize| number.is_multiple_of(every);
            let (mut rows, mut after) = (Vec::new(), None);
            loop {
                let (found, next, _) = page_of(limit, after, wants).await;
                assert!(found.len() <= limit, "{every} by {limit}");
                rows.extend(found);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            let all: Vec<usize> = (0..NUMBERS).filter(wants).collect();
            assert_eq!(rows, all, "{every} by {limit}");
        }
    }

    #[test]
    fn pages_are_bounded() {
        let limits = [None, Some(0), Some(1), Some(MOST), Some(MOST + 1)].map(|asked| limit(asked).ok());
        assert_eq!(limits, [Some(USUAL), None, Some(1), Some(MOST), None]);
    }
}
