//! Seller and buyer: names below or beside their labels, VAT numbers by the block they stand in.

use super::fields::Value;
use super::grid::{Grid, Line};
use super::text::Bounds;
use super::vocabulary::{BUYER, NAME, SELLER, YOURS};

/// What is found of a party.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    pub name: Option<Value<String>>,
    pub vat_id: Option<Value<String>>,
}

/// A party's block: where its label stands, which party it is.
struct Block {
    seller: bool,
    at: usize,
    end: usize,
    bounds: Bounds,
}

/// Seller and buyer.
pub(super) fn parties(grid: &Grid) -> (Found, Found) {
    let blocks = blocks(grid);
    let name_of = |seller: bool| {
        let found =
            blocks.iter().filter(|block| block.seller == seller).find_map(|block| name(grid, block, &blocks));
        let party = if seller { "supplier" } else { "buyer" };
        found.map(|found| match found.confidence {
            70.. => found,
            _ => Value { doubt: Some(format!("{party}.name: read by its place below a label")), ..found },
        })
    };
    let mut seller = Found { name: name_of(true), vat_id: None };
    let mut buyer = Found { name: name_of(false), vat_id: None };
    assign(grid, &blocks, &mut seller, &mut buyer);
    (seller, buyer)
}

fn blocks(grid: &Grid) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (at, line) in grid.lines.iter().enumerate() {
        for cell in &line.cells {
            let seller = line.label_at(cell.start, SELLER).map(|(_, end)| (true, end));
            let label = seller.or_else(|| line.label_at(cell.start, BUYER).map(|(_, end)| (false, end)));
            let Some((seller, end)) = label.filter(|(_, end)| *end <= cell.end) else { continue };
            let colon = line.tokens.get(end - 1).is_some_and(|token| token.text.ends_with(':'))
                || line.tokens.get(end).is_some_and(|token| token.text.starts_with(':'));
            let Some(bounds) = line.bounds(cell.start..end).filter(|_| end == cell.end || colon) else {
                continue;
            };
            blocks.push(Block { seller, at, end, bounds });
        }
    }
    blocks
}

fn name(grid: &Grid, block: &Block, blocks: &[Block]) -> Option<Value<String>> {
    let line = grid.lines.get(block.at)?;
    let value = |(value, bounds): (String, Bounds), confidence: u8| {
        let plausible = value.chars().filter(|character| character.is_alphabetic()).count() >= 2
            && value.chars().count() <= 120;
        plausible.then_some(Value { value, bounds, confidence, doubt: None })
    };
    // Beside the label, in its cell: `Sold by: Acme Ltd`.
    let cell = line.cell_of(block.end - 1);
    let from =
        (block.end..cell.end).find(|at| line.tokens.get(*at).is_some_and(|token| !token.norm.is_empty()));
    if let Some(from) = from {
        let text = line.text(from..cell.end);
        return value((text.trim_matches([',', ' ']).to_owned(), line.bounds(from..cell.end)?), 70);
    }
    let next_block =
        blocks.iter().filter(|other| other.at > block.at).map(|other| other.at).min().unwrap_or(usize::MAX);
    for (offset, lower) in grid.lines.iter().enumerate().skip(block.at + 1).take(14) {
        if offset >= next_block || lower.page() != line.page() {
            break;
        }
        for cell in &lower.cells {
            let Some(bounds) = lower.bounds(cell.clone()) else { continue };
            let flush = (bounds.left - block.bounds.left).abs() < 12.0;
            if !flush {
                continue;
            }
            if let Some((_, end)) = lower.label_at(cell.start, NAME) {
                return labelled_name(grid, offset, end).and_then(|found| value(found, 75));
            }
            let text = lower.text(cell.clone());
            if text.contains(':')
                || text.starts_with('(')
                || lower.cells.len() > 1 && lower.tokens.iter().any(|token| token.text == ":")
            {
                continue;
            }
            // The first line of an address is its name; a line with digits is the street already.
            let digits = text.chars().any(|character| character.is_ascii_digit());
            let beside = blocks.iter().any(|other| other.at == offset);
            return (!digits && !beside).then(|| value((text, bounds), 65))?;
        }
    }
    None
}

/// The value beside a label `Name:`, with what is set right above and below it.
fn labelled_name(grid: &Grid, at: usize, end: usize) -> Option<(String, Bounds)> {
    let line = grid.lines.get(at)?;
    let from = (end..line.tokens.len())
        .find(|at| line.tokens.get(*at).is_some_and(|token| !token.norm.is_empty()))?;
    let cell = line.cell_of(from);
    let bounds = line.bounds(from..cell.end)?;
    let mut text = line.text(from..cell.end);
    let beside = |other: Option<&Line>| {
        let other = other.filter(|other| other.page() == line.page() && other.cells.len() == 1)?;
        let place = other.bounds(0..other.tokens.len())?;
        let near =
            (place.top - bounds.top).abs() <= 1.45 * line.size() && (place.left - bounds.left).abs() < 3.0;
        near.then(|| other.text(0..other.tokens.len()))
    };
    if let Some(above) = at.checked_sub(1).and_then(|above| beside(grid.lines.get(above))) {
        text = format!("{above} {text}");
    }
    Some((text, bounds))
}

/// Digits of a country's VAT numbers, at least and at most; letters among them count.
const VAT_LENGTHS: &[(&str, usize, usize)] = &[
    ("AT", 9, 9),
    ("BE", 10, 10),
    ("BG", 9, 10),
    ("CHE", 9, 9),
    ("CY", 9, 9),
    ("CZ", 8, 10),
    ("DE", 9, 9),
    ("DK", 8, 8),
    ("EE", 9, 9),
    ("EL", 9, 9),
    ("ES", 9, 9),
    ("FI", 8, 8),
    ("FR", 11, 11),
    ("GB", 9, 12),
    ("HR", 11, 11),
    ("HU", 8, 8),
    ("IE", 8, 9),
    ("IT", 11, 11),
    ("LT", 9, 12),
    ("LU", 8, 8),
    ("LV", 11, 11),
    ("MT", 8, 8),
    ("NL", 12, 12),
    ("PL", 10, 10),
    ("PT", 9, 9),
    ("RO", 2, 10),
    ("SE", 12, 12),
    ("SI", 8, 8),
    ("SK", 10, 10),
    ("XI", 9, 12),
];

/// A VAT number with its country's letters, blanks and points taken out.
fn vat_id(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|character| !matches!(character, ' ' | '.' | '-')).collect();
    let (country, least, most) = VAT_LENGTHS.iter().find(|(country, ..)| compact.starts_with(country))?;
    let rest = compact.strip_prefix(country)?;
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let plain = rest.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    // The Netherlands have a B before the last two digits; nobody else has more than two letters.
    let dutch = *country != "NL" || rest.as_bytes().get(9) == Some(&b'B');
    (plain && dutch && (*least..=*most).contains(&rest.len()) && digits + 2 >= rest.len()).then_some(compact)
}

/// The VAT numbers, and whether their label says that they are the reader's own.
fn vat_ids(grid: &Grid) -> Vec<(String, Bounds, usize, bool)> {
    let mut found = Vec::new();
    for (at, line) in grid.lines.iter().enumerate() {
        for (start, token) in line.tokens.iter().enumerate() {
            let begins = VAT_LENGTHS.iter().any(|(country, ..)| token.text.starts_with(country));
            if !begins {
                continue;
            }
            let cell = line.cell_of(start);
            // All that follows in groups: an IBAN's first groups are no VAT number.
            let grouped =
                |token: &super::grid::Token| token.text.chars().any(|character| character.is_ascii_digit());
            let more = line
                .tokens
                .get(start + 1..cell.end)
                .unwrap_or_default()
                .iter()
                .take_while(|token| grouped(token))
                .count();
            let end = start + 1 + more;
            let Some((id, bounds)) = vat_id(&line.text(start..end)).zip(line.bounds(start..end)) else {
                continue;
            };
            let before = line.tokens.get(cell.start..start).unwrap_or_default();
            let yours = before.iter().any(|token| YOURS.contains(&token.norm.as_str()));
            found.push((id, bounds, at, yours));
        }
    }
    found
}

/// Where the label of a value begins: in its cell, or in the one before.
fn labelled_from(line: &Line, value: Bounds) -> f32 {
    let at = line
        .cells
        .iter()
        .position(|cell| line.bounds(cell.clone()).is_some_and(|cell| cell.right >= value.right));
    let cell = at.and_then(|at| {
        let own = line.cells.get(at)?;
        let labelled = line.tokens.get(own.start).is_some_and(|token| token.bounds.left < value.left - 1.0);
        if labelled {
            Some(own)
        } else {
            at.checked_sub(1).and_then(|before| line.cells.get(before)).or(Some(own))
        }
    });
    cell.and_then(|cell| line.bounds(cell.clone())).map_or(value.left, |bounds| bounds.left)
}

/// A VAT number is its party's whose label stands above it; without labels a single one is the seller's.
fn assign(grid: &Grid, blocks: &[Block], seller: &mut Found, buyer: &mut Found) {
    let found = vat_ids(grid);
    let value = |id: &str, bounds: Bounds, doubt: Option<String>| Value {
        value: id.to_owned(),
        bounds,
        confidence: if doubt.is_some() { 55 } else { 75 },
        doubt,
    };
    for (id, bounds, at, yours) in &found {
        // Its own label begins flush with the block's.
        let Some(left) = grid.lines.get(*at).map(|line| labelled_from(line, *bounds)) else { continue };
        let above = blocks.iter().filter(|block| {
            block.at <= *at && block.bounds.page == bounds.page && (block.bounds.left - left).abs() < 20.0
        });
        let nearest = above.min_by_key(|block| at - block.at);
        let party = match (nearest, yours) {
            (_, true) => &mut *buyer,
            (Some(block), false) if block.seller => &mut *seller,
            (Some(_), false) => &mut *buyer,
            (None, false) => continue,
        };
        if party.vat_id.is_none() {
            party.vat_id = Some(value(id, *bounds, None));
        }
    }
    let mut others = found.iter().filter(|(.., yours)| !yours);
    if seller.vat_id.is_none()
        && buyer.vat_id.is_none()
        && let Some((id, bounds, ..)) = others.next()
        && others.all(|(other, ..)| other == id)
    {
        let doubt = format!("supplier.vatId: {id} is the only one, and not labelled whose it is");
        seller.vat_id = Some(value(id, *bounds, Some(doubt)));
    }
}

#[cfg(test)]
mod tests {
    use super::vat_id;

    #[test]
    fn vat_numbers_are_told_from_bank_accounts() {
        for (text, id) in [
            ("DE 232 446 240", Some("DE232446240")),
            ("NL123456789B01", Some("NL123456789B01")),
            ("FR 32 123 456 789", Some("FR32123456789")),
            ("ATU12345678", Some("ATU12345678")),
            ("CHE-123.456.789", Some("CHE123456789")),
            ("DE12123456781234567890", None),
            ("NL50INGB0683251309", None),
            ("GBP", None),
            ("DESIGN", None),
        ] {
            assert_eq!(vat_id(text).as_deref(), id, "{text}");
        }
    }
}
