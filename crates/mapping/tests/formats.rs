//! Real XML, EDI and delimited payloads, through the shipped mappings, against what is known to be in them.
//!
//! `formats/corpus.tsv` lists the payloads: file below the corpus, platform, event type, expectation (`facts`, or
//! `rejected` and a part of the message), and exceptions (`field: why; field: why`), fields whose ground truth the
//! facts rightly differ from, or do not carry.
//!
//! Every row of GROUND_TRUTH.tsv whose place this test can read in the document (an XPath, `PO107 (PO106=VN)`,
//! `column:asin`) is compared with the facts: right, where the facts carry the values; absent, where they carry none of
//! them; wrong else. Nothing may be wrong, and what is absent is an exception with a reason.

#[path = "../../../tests/support/corpus.rs"]
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use contract::canonical::{Data, InventoryUpdated, OrderLine, OrderUpdated};
use contract::event::Opaque;
use contract::{Decimal, EventType, ExternalEventId, Json, Timestamp, VendorId};
use mapping::{EventContext, Format, Mapped, Mapping, Owner, shipped, written};

#[test]
fn the_corpus_in_other_formats_says_what_is_in_it() {
    let Some(truth) = place::corpus("GROUND_TRUTH.tsv") else { return };
    let root = truth.parent().expect("a file is in a directory");
    let truth = std::fs::read_to_string(&truth).expect("it can be read");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/corpus.tsv");
    let list = std::fs::read_to_string(list).expect("the list");
    let mappings: Vec<Mapping> =
        shipped().into_iter().filter_map(|(_, text)| Mapping::parse(text).ok()).collect();
    let mut table: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut failures = Vec::new();
    for row in list.lines().skip(1) {
        let mut columns = row.split('\t').map(str::trim);
        let mut next = || columns.next().unwrap_or_default();
        let (file, platform, event_type, expectation, exceptions) = (next(), next(), next(), next(), next());
        let excepted: BTreeSet<&str> =
            exceptions.split("; ").filter_map(|text| text.split_once(": ")).map(|(field, _)| field).collect();
        let count = table.entry(format!("{platform} {event_type}")).or_default();
        let rows: Vec<Vec<&str>> = truth
            .lines()
            .map(|line| line.split('\t').collect())
            .filter(|row: &Vec<&str>| row[0] == file)
            .collect();
        match (run(root, file, platform, event_type, &mappings), expectation.strip_prefix("rejected ")) {
            (Err(message), Some(part)) if message.contains(part) => count[3] += 1,
            (Err(message), _) => failures.push(format!("{file}: {message}")),
            (Ok((_, mapped)), Some(_)) => {
                failures.push(format!("{file}: expected {expectation}:\n{}", written(&mapped)));
            }
            (Ok((payload, mapped)), None) => {
                let shown = failures.len();
                let mut held: BTreeSet<&str> = excepted.clone();
                let mut ids: Vec<Vec<String>> = Vec::new();
                for row in &rows {
                    let (field, place) = (row[1], row[2]);
                    let (Some(expected), Some(actual)) = (at(&payload, place), values(field, &mapped)) else {
                        continue;
                    };
                    // A line keeps one of an item's ids: which one, the documents say.
                    if LINE_IDS.contains(&field) {
                        ids.push(expected);
                        continue;
                    }
                    let outcome = compare(field, &expected, &actual);
                    count[outcome] += 1;
                    if outcome > 0 && !held.remove(field) && !excepted.contains(field) {
                        failures.push(format!(
                            "{file}: {field} ({place}): expected {expected:?}, got {actual:?}"
                        ));
                    }
                }
                let skus = values("line.sku", &mapped).unwrap_or_default();
                if !ids.is_empty() {
                    let known = |(index, sku): (usize, &String)| {
                        ids.iter().any(|row| match row.len() == skus.len() {
                            true => row[index] == *sku,
                            false => row.contains(sku),
                        })
                    };
                    let right = !skus.is_empty() && skus.iter().enumerate().all(known);
                    count[usize::from(!right) * 2] += 1;
                    if !right && !held.remove("line.sku") {
                        failures.push(format!("{file}: of the ids {ids:?} the lines have {skus:?}"));
                    }
                }
                failures.extend(
                    held.into_iter().map(|field| format!("{file}: the exception `{field}` is needless")),
                );
                if failures.len() > shown {
                    failures.push(format!("{file}:\n{}", written(&mapped)));
                }
            }
        }
    }
    println!("{:<45} {:>6} {:>6} {:>6} {:>8}", "", "right", "absent", "other", "rejected");
    for (name, [right, absent, other, rejected]) in &table {
        println!("{name:<45} {right:>6} {absent:>6} {other:>6} {rejected:>8}");
    }
    assert!(failures.is_empty(), "{} failures:\n\n{}", failures.len(), failures.join("\n"));
}

/// As many items as fit into a body of 256 KiB, each with all that the filters look for behind it, and nothing of it
/// in the header, where they look next.
#[test]
fn a_large_advice_is_within_the_budget_of_filters() {
    let head = "ISA*00**00**ZZ*A*ZZ*B*260101*1200*U*00401*1*0*P*>~GS*IB*A*B*20260101*1200*1*X*004010~ST*846*1~BIA*00*SI*1*20260101~";
    let item = |n: usize| format!("LIN*{n}*BP*B{n}~QTY*33*{n}*EA~QTY*QH*1*EA~REF*LU*7~");
    let mut text = head.to_owned();
    let mut count = 0;
    while text.len() < 256 * 1024 {
        text.push_str(&item(count));
        count += 1;
    }
    text.push_str("CTT*1~SE*1*1~GE*1*1~IEA*1*1~");
    let documents = shipped();
    let (_, document) = documents.iter().find(|(path, _)| *path == "x12/846.yaml").expect("it is shipped");
    let mapping = Mapping::parse(document).expect("it compiles");
    let payload = mapping.decode(&Opaque::Text(text)).expect("X12");
    let mapped = mapping.apply(&payload, &event("846")).expect("it is within the budget");
    assert_eq!(mapped.facts.len(), count);
}

fn event(event_type: &str) -> EventContext {
    EventContext {
        vendor_id: VendorId::parse("acme").expect("a constant"),
        external_event_id: ExternalEventId::parse("evt-1").expect("a constant"),
        event_type: EventType::parse(event_type).expect("an event type"),
        occurred_at: Timestamp::parse("2026-01-01T00:00:00Z").expect("a constant"),
    }
}

fn run(
    root: &Path,
    file: &str,
    platform: &str,
    event_type: &str,
    mappings: &[Mapping],
) -> Result<(Json, Mapped), String> {
    let bytes = std::fs::read(root.join(file)).map_err(|error| error.to_string())?;
    let event = event(event_type);
    let owner = Owner::Platform(platform.to_owned());
    let mapping = mappings
        .iter()
        .find(|mapping| *mapping.owner() == owner && mapping.event_types().contains(&event.event_type))
        .ok_or("no shipped mapping reads it")?;
    assert_ne!(*mapping.format(), Format::Json, "{file}");
    let payload = mapping.decode(&Opaque::Bytes(bytes.into())).map_err(|error| error.to_string())?;
    let mapped = mapping.apply(&payload, &event).map_err(|error| format!("{error:?}"))?;
    Ok((payload, mapped))
}

/// By any of them an item of an order's line may be known.
const LINE_IDS: [&str; 4] = ["line.sku", "line.skuBuyer", "line.skuManufacturer", "line.gtin"];

/// 0: right. 1: absent. 2: other values, or only some of them.
fn compare(field: &str, expected: &[String], actual: &[String]) -> usize {
    let number = field.contains("uantity") || field.contains("rice") || field == "total";
    let same = |a: &String, b: &String| {
        a == b || number && Decimal::parse(a).ok().zip(Decimal::parse(b).ok()).is_some_and(|(a, b)| a == b)
    };
    let among = |a: &[String], b: &[String]| a.iter().all(|a| b.iter().any(|b| same(a, b)));
    let by_place = expected.len() == actual.len() && expected.iter().zip(actual).all(|(a, b)| same(a, b));
    // One of several ids of an item of stock; the others stand beside it.
    let any_id = ["sku", "skuManufacturer", "skuAlt"].contains(&field);
    match () {
        () if by_place || among(expected, actual) && (any_id || among(actual, expected)) => 0,
        () if !expected.iter().any(|value| actual.iter().any(|known| same(value, known)))
            && actual.is_empty() =>
        {
            1
        }
        () => 2,
    }
}

/// What the facts say of a field; nothing where no fact carries such a field.
fn values(field: &str, mapped: &Mapped) -> Option<Vec<String>> {
    let stock = |get: fn(&InventoryUpdated) -> Option<String>| {
        let data = mapped.facts.iter().filter_map(|fact| match &fact.data {
            Data::InventoryUpdated(data) => get(data),
            _ => None,
        });
        data.collect()
    };
    let orders = || {
        mapped.facts.iter().filter_map(|fact| match &fact.data {
            Data::OrderUpdated(data) => Some(data),
            _ => None,
        })
    };
    let order = |get: fn(&OrderUpdated) -> Option<String>| orders().filter_map(get).collect();
    let line = |get: fn(&OrderLine) -> Option<String>| {
        orders().flat_map(|order| &order.lines).filter_map(get).collect()
    };
    let is_stock = mapped.facts.iter().any(|fact| matches!(fact.data, Data::InventoryUpdated(_)));
    Some(match field {
        "sku" | "skuAlt" | "skuManufacturer" if is_stock => mapped
            .facts
            .iter()
            .flat_map(|fact| match &fact.data {
                Data::InventoryUpdated(data) => {
                    std::iter::once(data.sku.clone()).chain(data.item.sku_alt.clone()).collect::<Vec<_>>()
                }
                _ => Vec::new(),
            })
            .collect(),
        "gtin" if is_stock => stock(|data| data.item.gtin.clone()),
        "unitOfMeasure" => stock(|data| data.item.unit_of_measure.clone()),
        "condition" => stock(|data| data.item.condition.clone()),
        "warehouseId" if is_stock => stock(|data| data.warehouse_id.clone()),
        "quantityOnHand" => stock(|data| data.quantity_on_hand.as_ref().map(ToString::to_string)),
        "quantityAvailable" => stock(|data| data.quantity_available.as_ref().map(ToString::to_string)),
        "orderId" => order(|data| Some(data.order_id.clone())),
        "status" => order(|data| data.vendor_status.clone()),
        "currency" => order(|data| data.currency.clone()),
        "total" => order(|data| data.total.as_ref().map(ToString::to_string)),
        "version" => order(|data| data.sequence.map(|value| value.to_string())),
        "line.lineId" => line(|line| line.line_id.clone()),
        "line.sku" | "line.skuBuyer" | "line.skuManufacturer" | "line.gtin" => line(|line| line.sku.clone()),
        "line.description" => line(|line| line.description.clone()),
        "line.quantity" => line(|line| line.quantity.as_ref().map(ToString::to_string)),
        "line.unit" => line(|line| line.unit.clone()),
        "line.unitPrice" => line(|line| line.unit_price.as_ref().map(ToString::to_string)),
        "line.status" => line(|line| line.status.clone()),
        _ => return None,
    })
}

/// The values at a place of the ground truth, found without any mapping; nothing where it is not written as a place.
fn at(payload: &Json, place: &str) -> Option<Vec<String>> {
    if let Some(column) = place.strip_prefix("column:") {
        let Json::Array(rows) = payload else { return None };
        return Some(rows.iter().filter_map(|row| row.get(column)?.as_str().map(str::to_owned)).collect());
    }
    if let Some(path) = place.strip_prefix('/') {
        return Some(xpath(payload, path));
    }
    segments(payload, place)
}

fn xpath(payload: &Json, path: &str) -> Vec<String> {
    let path = path.replace("*[local-name()=\"", "").replace("\"]", "");
    let mut values = vec![payload];
    for step in path.split('/') {
        let step = step.trim_start_matches("cbc:").trim_start_matches("cac:");
        let (name, index) = match step.strip_suffix("[1]") {
            Some(name) => (name, true),
            None => (step, false),
        };
        values = values.into_iter().filter_map(|value| value.get(name)).flat_map(spread).collect();
        if index {
            values.truncate(1);
        }
    }
    let text = |value: &Json| value.as_str().or_else(|| value.get("#text")?.as_str()).map(str::to_owned);
    values.into_iter().filter_map(text).collect()
}

fn spread(value: &Json) -> Vec<&Json> {
    match value {
        Json::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// `PO107 (PO106=VN)`, `BEG03`, `QTY02 where QTY01=17`.
fn segments(payload: &Json, place: &str) -> Option<Vec<String>> {
    let place = place.replace(" where ", " (").replace(')', "");
    let (wanted, condition) = place.split_once(" (").map_or((place.as_str(), None), |(a, b)| (a, Some(b)));
    let split = |text: &str| {
        let number = text.get(text.len().checked_sub(2)?..)?;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| (text[..text.len() - 2].to_owned(), number.to_owned()))
    };
    let (id, element) = split(wanted)?;
    let condition = match condition {
        Some(text) => {
            let (place, values) = text.split_once('=')?;
            Some((split(place)?.1, values.split('/').map(str::to_owned).collect::<Vec<_>>()))
        }
        None => None,
    };
    let mut found = Vec::new();
    walk(payload, &mut |segment| {
        let fits = condition.as_ref().is_none_or(|(place, values)| {
            segment
                .get(place)
                .and_then(Json::as_str)
                .is_some_and(|value| values.iter().any(|known| known == value))
        });
        if fits && segment.get("id").and_then(Json::as_str) == Some(id.as_str()) {
            found.extend(segment.get(&element).and_then(Json::as_str).map(str::to_owned));
        }
    });
    Some(found)
}

fn walk(value: &Json, see: &mut impl FnMut(&Json)) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| walk(item, see)),
        Json::Object(members) => {
            see(value);
            members.iter().for_each(|(_, value)| walk(value, see));
        }
        _ => {}
    }
}
