//! Lists that may be long, in pages: how a request asks for one, and how an answer says where to go on.

use ports::tables::Cursor;

use crate::problem::Problem;

/// Rows of a page where nobody asks for another number.
const USUAL: usize = 100;
/// Most rows of a page.
const MOST: usize = 1_000;
/// Most rows that are looked at for one page: where few are wanted it has fewer, even none, and says where
/// to go on.
pub const MOST_LOOKED_AT: usize = 10_000;

/// How many rows a request asks for.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        other => Err(Problem::invalid(format!("limit {other}: a page has 1 to {MOST} rows"))),
    }
}

/// A cursor as an answer has it, of the list that `of` names: digits, for the store's may hold anything.
pub fn write(of: &str, cursor: Option<Cursor>) -> Option<String> {
    cursor.map(|Cursor(at)| hex::encode(format!("{of}\n{at}")))
}

/// Reads what [`write`] wrote for the same list.
pub fn read(of: &str, text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let decoded = hex::decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let at = decoded.as_deref().and_then(|text| text.strip_prefix(of)?.strip_prefix('\n'));
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
    fn pages_are_bounded() {
        let limits = [None, Some(0), Some(1), Some(MOST), Some(MOST + 1)].map(|asked| limit(asked).ok());
        assert_eq!(limits, [Some(USUAL), None, Some(1), Some(MOST), None]);
    }
}
