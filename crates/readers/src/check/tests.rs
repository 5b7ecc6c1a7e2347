use super::*;
use crate::draft::{blank, decimal};
use crate::invoice::{Adjustment, Format, Totals};

fn number(text: &str) -> Option<Decimal> {
    Some(decimal(text).expect(text))
}

fn line(quantity: &str, price: &str, net: &str) -> Line {
    let net = if net.is_empty() { None } else { number(net) };
    Line {
        sku: Some("A".into()),
        quantity: number(quantity),
        unit_price: number(price),
        net,
        ..Line::default()
    }
}

fn adjustment(amount: &str) -> Adjustment {
    Adjustment { amount: decimal(amount).expect(amount), reason: None }
}

/// Two lines, an allowance, tax, a prepayment and a rounding, all of which add up.
fn sound() -> Invoice {
    Invoice {
        number: Some("1".into()),
        issue_date: Some("2024-01-01".into()),
        currency: Some("EUR".into()),
        lines: vec![line("3", "3.3333", "10.00"), line("2", "20", "40")],
        adjustments: vec![adjustment("-5"), adjustment("1.50")],
        totals: Totals {
            lines: number("50.00"),
            net: number("46.50"),
            tax: number("8.84"),
            gross: number("55.34"),
            prepaid: number("10"),
            rounding: number("-0.04"),
            payable: number("45.30"),
        },
        ..blank(Format::Ubl, Kind::Invoice)
    }
}

fn codes(mut invoice: Invoice) -> Vec<FlagCode> {
    foot(&mut invoice);
    let once = invoice.clone();
    foot(&mut invoice);
    assert_eq!(invoice, once, "footing twice changes nothing");
    let lines = invoice.lines.iter().flat_map(|line| &line.flags);
    lines.chain(&invoice.flags).map(|flag| flag.code).collect()
}

#[test]
fn what_adds_up_is_not_flagged() {
    assert_eq!(codes(sound()), []);
}

#[test]
fn each_sum_is_held() {
    let with = |change: fn(&mut Invoice)| {
        let mut invoice = sound();
        change(&mut invoice);
        codes(invoice)
    };
    assert_eq!(with(|invoice| invoice.lines[1].quantity = number("3")), [FlagCode::LineTotal]);
    assert_eq!(with(|invoice| invoice.lines[1] = line("2", "20.05", "40.10")), [FlagCode::LinesTotal]);
    assert_eq!(with(|invoice| invoice.adjustments[0] = adjustment("-5.01")), [FlagCode::NetTotal]);
    assert_eq!(with(|invoice| invoice.totals.tax = number("8.85")), [FlagCode::GrossTotal]);
    assert_eq!(with(|invoice| invoice.totals.prepaid = None), [FlagCode::PayableTotal]);
    assert_eq!(with(|invoice| invoice.lines[0].price_base = number("0")), [FlagCode::LineTotal]);
}

#[test]
fn bases_and_adjustments_of_a_line() {
    let mut invoice = sound();
    invoice.lines[0] = Line { price_base: number("12"), ..line("132", "15.24", "167.64") };
    invoice.lines[1] = Line { adjustments: vec![adjustment("-2")], ..line("1", "10", "8") };
    invoice.adjustments.clear();
    invoice.totals = Totals { lines: number("175.64"), payable: number("175.64"), ..Totals::default() };
    assert_eq!(codes(invoice.clone()), []);
    // A third of a unit is summed up without rounding it before.
    invoice.lines[0] = Line { price_base: number("3"), ..line("1", "1", "") };
    invoice.lines[1] = Line { price_base: number("7"), ..line("1", "1", "") };
    invoice.totals = Totals { payable: number("0.48"), ..Totals::default() };
    assert_eq!(codes(invoice.clone()), []);
    invoice.totals.payable = number("0.50");
    assert_eq!(codes(invoice), [FlagCode::PayableTotal]);
}

#[test]
fn without_a_net_total_the_lines_are_footed_to_the_gross() {
    let mut invoice = sound();
    invoice.lines = vec![line("2", "10.005", ""), line("1", "5", "")];
    invoice.adjustments.clear();
    invoice.totals = Totals { gross: number("25.01"), ..Totals::default() };
    assert_eq!(codes(invoice.clone()), []);
    invoice.totals.gross = number("25.03");
    assert_eq!(codes(invoice), [FlagCode::GrossTotal]);
}

#[test]
fn what_is_missing_is_flagged() {
    let mut invoice = blank(Format::Csv, Kind::Invoice);
    invoice.lines.push(Line::default());
    assert_eq!(codes(invoice), [FlagCode::Missing; 7]);
}

#[test]
fn a_credit_note_of_negative_quantities_is_uncertain() {
    let mut invoice = sound();
    invoice.kind = Kind::CreditNote;
    assert_eq!(codes(invoice.clone()), []);
    invoice.lines = vec![line("-2", "25", "-50")];
    invoice.totals = Totals { lines: number("-50"), ..Totals::default() };
    assert!(codes(invoice).contains(&FlagCode::Uncertain));
}
