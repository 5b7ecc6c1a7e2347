//! The totals: amounts beside or below their labels, believed as far as they add up.

use contract::Decimal;

use super::amounts::{Amount, Convention, amounts};
use super::dates::{Order, dates};
use super::grid::{Grid, Line};
use super::table::Extra;
use super::text::Bounds;
use super::vocabulary::{TOTALS, Total};

/// An amount with what its label says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub total: Total,
    pub value: Decimal,
    pub bounds: Bounds,
}

/// The totals that were found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    pub lines: Option<Candidate>,
    pub charges: Option<Candidate>,
    pub allowances: Option<Candidate>,
    pub net: Option<Candidate>,
    pub tax: Option<Candidate>,
    pub gross: Option<Candidate>,
    pub prepaid: Option<Candidate>,
    pub rounding: Option<Candidate>,
    pub payable: Option<Candidate>,
    /// Net and tax come to gross.
    pub confirmed: bool,
    /// Allowances and charges that lead from the lines to net.
    pub extras: Vec<Extra>,
    /// Labels that different amounts stand by.
    pub disputed: Vec<Total>,
}

/// Whether a line says a total, so that no item is below it.
pub(super) fn ends_table(line: &Line, convention: Convention) -> bool {
    let numbers = amounts(line, convention);
    line.cells.iter().any(|cell| {
        // A bracket explains a line.
        let remark = line.tokens.get(cell.start).is_some_and(|token| token.text.starts_with('('));
        !remark
            && labelled(line, cell.start).is_some_and(|(total, end)| {
                let alone =
                    end >= cell.end && numbers.is_empty() && line.cells.len() <= 3 && total != Total::Tax;
                let first =
                    numbers.iter().find(|number| !number.percent).is_some_and(|number| number.start >= end);
                alone || (first && beside(line, end, &numbers).is_some())
            })
    })
}

/// The total that a label at a token names, and where the label ends.
fn labelled(line: &Line, start: usize) -> Option<(Total, usize)> {
    TOTALS
        .iter()
        .filter_map(|(total, labels)| line.label_at(start, labels).map(|(_, end)| (*total, end)))
        .max_by_key(|(_, end)| *end)
}

/// Reads the totals from the lines that the table does not take up.
pub(super) fn read(grid: &Grid, convention: Convention, order: Order, taken: &[usize]) -> Found {
    let mut candidates = Vec::new();
    let mut triples = Vec::new();
    let mut extras = Vec::new();
    for (at, line) in grid.lines.iter().enumerate() {
        if taken.binary_search(&at).is_ok() {
            continue;
        }
        let numbers: Vec<Amount> = amounts(line, convention);
        let dated = dates(line, order);
        let numbers: Vec<Amount> = numbers
            .into_iter()
            .filter(|number| !dated.iter().any(|date| number.start < date.end && date.start < number.end))
            .collect();
        triples.extend(triple(&numbers));
        extras.extend(extra(line, &numbers));
        for start in 0..line.tokens.len() {
            let cell = line.cell_of(start);
            let leads =
                start == cell.start || behind_rate(start, &numbers) || behind_small_word(line, start, &cell);
            let Some((total, end)) = labelled(line, start).filter(|_| leads) else { continue };
            let number =
                beside(line, end, &numbers).cloned().or_else(|| below(grid, at, start..end, convention));
            let Some(number) = number else { continue };
            candidates.push(Candidate { total, value: number.value, bounds: number.bounds });
        }
    }
    solve(&candidates, &triples, extras)
}

/// `Shipping and handling | 12.00`: words in one cell, an amount of money in the next.
fn extra(line: &Line, numbers: &[Amount]) -> Option<Extra> {
    let [number] = numbers.iter().filter(|number| !number.percent).collect::<Vec<_>>().try_into().ok()?;
    let number: &Amount = number;
    let index = line.cells.iter().position(|cell| cell.contains(&number.start))?;
    let label = line.cells.get(index.checked_sub(1)?)?;
    let amount = number.decimals == 2 && line.cells.get(index).is_some_and(|cell| cell.start == number.start);
    if !amount {
        return None;
    }
    Extra::of(&line.text(label.clone()), number.value.clone())
}

/// `19 % VAT 38,00`
fn behind_rate(start: usize, numbers: &[Amount]) -> bool {
    numbers.iter().any(|number| number.percent && number.end == start)
}

/// `zzgl. 19 % MwSt`, `plus VAT`, `incl. VAT`.
fn behind_small_word(line: &Line, start: usize, cell: &std::ops::Range<usize>) -> bool {
    start == cell.start + 1
        && line.tokens.get(cell.start).is_some_and(|token| {
            matches!(token.norm.as_str(), "zzgl" | "plus" | "zuzuglich" | "factuur" | "invoice")
        })
}

/// The amount to the right of a label: the next one that is no rate, with nothing but a currency, a date or small
/// words between.
fn beside<'n>(line: &Line, end: usize, numbers: &'n [Amount]) -> Option<&'n Amount> {
    let number = numbers.iter().find(|number| number.start >= end && !number.percent)?;
    let dated = dates(line, Order::Unknown);
    let quiet = (end..number.start).all(|at| {
        let Some(token) = line.tokens.get(at) else { return true };
        let small = matches!(
            token.norm.as_str(),
            "" | "eur"
                | "usd"
                | "gbp"
                | "chf"
                | "sek"
                | "dkk"
                | "nok"
                | "pln"
                | "inr"
                | "euro"
                | "on"
                | "am"
                | "op"
                | "le"
                | "in"
                | "ttc"
                | "s"
                | "e"
        );
        small
            || dated.iter().any(|date| (date.start..date.end).contains(&at))
            || numbers.iter().any(|other| other.percent && (other.start..other.end).contains(&at))
    });
    quiet.then_some(number)
}

/// The amount below a label, if there is none beside it: labels in a row, amounts in the next one.
fn below(grid: &Grid, at: usize, label: std::ops::Range<usize>, convention: Convention) -> Option<Amount> {
    let line = grid.lines.get(at)?;
    let bounds = line.bounds(label)?;
    let reach = 3.0 * line.size();
    let lower = grid
        .lines
        .get(at + 1..)?
        .iter()
        .take(4)
        .filter(|lower| lower.page() == line.page() && lower.top() - line.top() <= reach);
    for lower in lower {
        let under = amounts(lower, convention).into_iter().find(|number| {
            let centre = (number.bounds.left + number.bounds.right) / 2.0;
            let near = 0.5 * (bounds.right - bounds.left) + 6.0;
            !number.percent
                && number.decimals == 2
                && (centre - (bounds.left + bounds.right) / 2.0).abs() <= near
        });
        if under.is_some() {
            return under;
        }
    }
    None
}

/// The last three amounts of a line where the third is the sum of the others: net, tax, gross.
fn triple(numbers: &[Amount]) -> Option<[Amount; 3]> {
    let money: Vec<&Amount> =
        numbers.iter().filter(|number| !number.percent && number.decimals == 2).collect();
    let [.., net, tax, gross] = money.as_slice() else { return None };
    (net.value.plus(&tax.value) == gross.value && !gross.value.is_zero())
        .then(|| [(*net).clone(), (*tax).clone(), (*gross).clone()])
}

fn solve(candidates: &[Candidate], triples: &[[Amount; 3]], extras: Vec<Extra>) -> Found {
    let mut found = Found::default();
    let of = |total: Total| candidates.iter().filter(move |candidate| candidate.total == total);
    let mut nets: Vec<Candidate> = of(Total::Net).chain(of(Total::Lines)).cloned().collect();
    let mut taxes: Vec<Candidate> = of(Total::Tax).cloned().collect();
    let mut grosses: Vec<Candidate> = of(Total::Gross).chain(of(Total::Payable)).cloned().collect();
    if let Some(sum) = sum_of_taxes(&taxes) {
        taxes.push(sum);
    }
    for [net, tax, gross] in triples {
        if !grosses.is_empty() && !grosses.iter().any(|candidate| candidate.value == gross.value) {
            continue;
        }
        let candidate =
            |total, amount: &Amount| Candidate { total, value: amount.value.clone(), bounds: amount.bounds };
        nets.push(candidate(Total::Net, net));
        taxes.push(candidate(Total::Tax, tax));
        grosses.push(candidate(Total::Gross, gross));
    }
    let solved = grosses.iter().find_map(|gross| {
        let agrees = |net: &&Candidate| taxes.iter().any(|tax| net.value.plus(&tax.value) == gross.value);
        let net = nets.iter().find(agrees)?;
        let tax = taxes.iter().find(|tax| net.value.plus(&tax.value) == gross.value)?;
        Some((net.clone(), tax.clone(), gross.clone()))
    });
    // Subtotal ± charges + tax = gross: the net total itself is not printed then.
    let added = extras.iter().fold(Decimal::zero(), |sum, extra| sum.plus(&extra.amount));
    let indirect = || {
        let sum = |base: &Candidate, tax: &Candidate| base.value.plus(&added).plus(&tax.value);
        grosses.iter().find_map(|gross| {
            let base = nets.iter().find(|base| taxes.iter().any(|tax| sum(base, tax) == gross.value))?;
            let tax = taxes.iter().find(|tax| sum(base, tax) == gross.value)?;
            Some((base.clone(), tax.clone(), gross.clone()))
        })
    };
    let indirect = if solved.is_none() && !extras.is_empty() { indirect() } else { None };
    let mut single = |total: Total| {
        let values: Vec<&Candidate> = of(total).collect();
        let first = values.first()?;
        if values.iter().any(|other| other.value != first.value) {
            found.disputed.push(total);
            return None;
        }
        Some((*first).clone())
    };
    let lines = single(Total::Lines);
    let (charges, allowances) = (single(Total::Charges), single(Total::Allowances));
    let (prepaid, rounding, payable) =
        (single(Total::Prepaid), single(Total::Rounding), single(Total::Payable));
    let mut lines = lines;
    let (net, tax, gross) = match (solved, indirect) {
        (Some((net, tax, gross)), _) => {
            found.confirmed = true;
            (Some(net), Some(tax), Some(gross))
        }
        (None, Some((base, tax, gross))) => {
            found.confirmed = true;
            found.extras = extras;
            lines = Some(base);
            (None, Some(tax), Some(gross))
        }
        (None, None) => (single(Total::Net), single(Total::Tax), single(Total::Gross)),
    };
    let positive = |candidate: Candidate| Candidate { value: candidate.value.abs(), ..candidate };
    // A subtotal with VAT is no sum of net amounts.
    let with_tax = |lines: &Candidate| matches!((&net, &gross), (Some(net), Some(gross)) if lines.value == gross.value && net.value != gross.value);
    Found {
        lines: lines.filter(|lines| !with_tax(lines)),
        charges,
        allowances,
        net,
        tax,
        gross,
        prepaid: prepaid.map(positive),
        rounding,
        payable,
        ..found
    }
}

/// VAT of several rates is a row each: their sum, if none of them is the sum already.
fn sum_of_taxes(taxes: &[Candidate]) -> Option<Candidate> {
    let first = taxes.first()?;
    if taxes.len() < 2 || taxes.len() > 8 {
        return None;
    }
    let value = taxes.iter().fold(Decimal::zero(), |sum, tax| sum.plus(&tax.value));
    Some(Candidate { value, ..first.clone() })
}
