//! Units of measure as invoices and stock call them: codes of UN/ECE Recommendation 20, of X12's element 355, and
//! words.

/// Names of one unit each.
const NAMES: &[&[&str]] = &[
    &[
        "C62", "H87", "EA", "EACH", "PCE", "PCS", "PC", "PIECE", "PIECES", "XPP", "NAR", "UN", "UNIT",
        "UNITS", "ONE", "STK", "STÜCK", "STUECK", "STUK", "STUKS", "UNIDAD", "PZ", "PIÈCE",
    ],
    &["KGM", "KG", "KILOGRAM"],
    &["GRM", "G", "GR", "GRAM"],
    &["TNE", "T", "TON", "TONNE"],
    &["LBR", "LB", "LBS", "POUND"],
    &["LTR", "L", "LITER", "LITRE"],
    &["MTR", "M", "METER", "METRE"],
    &["MTK", "M2", "SQM"],
    &["MTQ", "M3", "CBM"],
    &["CS", "CA", "XCS", "CASE", "CASES"],
    &["CT", "CTN", "XCT", "CARTON", "CARTONS", "KARTON"],
    &["BX", "XBX", "BOX", "BOXES"],
    &["PK", "PA", "XPK", "XPA", "PACK", "PACKS", "PACKET"],
    &["DZN", "DZ", "DOZEN"],
    &["PR", "PAIR", "PAIRS", "PAAR"],
    &["SET", "SETS"],
    &["RO", "XRO", "ROLL", "ROLLS", "ROLLE"],
];

/// Whether two names mean one unit. Of names that nobody knows, those that are equal do.
pub fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim().trim_end_matches('.').to_uppercase();
    let (one, other) = (plain(one), plain(other));
    one == other || NAMES.iter().any(|names| names.contains(&&*one) && names.contains(&&*other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_unit_are_the_same() {
        assert!(same("C62", "ea") && same("Stück", "H87") && same("Stk.", "PCE") && same("foo", " FOO "));
        assert!(!same("EA", "CS") && !same("KGM", "GRM") && !same("foo", "EA"));
        let mut all: Vec<&str> = NAMES.concat();
        let many = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), many, "no name means two units");
    }
}
