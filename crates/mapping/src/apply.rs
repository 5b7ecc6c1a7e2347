//! From a payload to facts.

use std::collections::HashMap;

use contract::canonical::{Data, InventoryAdjusted, InventoryUpdated, Item, OrderLine, OrderUpdated};
use contract::{Code, Decimal, EventType, ExternalEventId, Json, Timestamp, VendorId};

use crate::document::{Body, Fields, Lines, Mapping, Rule};
use crate::expr::{Element, Expr, Found, Scope, pointer};
use crate::fields::{QUANTITIES, Type};
use crate::fuel::STEPS_PER_EVENT;
use crate::source::Source;
use crate::value::Value;

/// Most elements that the `each` of one event may have, and most facts that it may give.
pub const MAX_FACTS: usize = 10_000;

/// What the envelope says of an event: `$event` in filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventContext {
    /// Who says it.
    pub vendor_id: VendorId,
    /// The vendor's id of it.
    pub external_event_id: ExternalEventId,
    /// What kind it is.
    pub event_type: EventType,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// What a payload says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapped {
    /// In the order of line and leg; no two have both in common.
    pub facts: Vec<MappedFact>,
    /// Pointers of members that the source schema does not know, where the document asks for them.
    pub drift: Vec<String>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedFact {
    /// The element's index, from 0.
    pub line: u32,
    /// 0; counts on where one element gives several facts.
    pub leg: u8,
    /// When it was so; where the payload does not say it, the envelope's time holds.
    pub occurred_at: Option<Timestamp>,
    /// What is so.
    pub data: Data,
}

/// Why a payload gives no facts; the event goes to quarantine with this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at {pointer:?})")]
pub struct Rejection {
    /// Stable code.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
    /// RFC 6901 pointer from the payload's root to the place at fault.
    pub pointer: String,
}

impl Rejection {
    /// The same, with the field's name in front.
    pub(crate) fn about(self, field: &str) -> Self {
        Self { message: format!("{field}: {}", self.message), ..self }
    }
}

impl Mapping {
    /// The facts that a payload holds: all of them, or the first thing that is wrong.
    ///
    /// Deterministic: the same document, payload and context give the same result, always.
    pub fn apply(&self, payload: &Json, event: &EventContext) -> Result<Mapped, Rejection> {
        if let Some(schema) = &self.schema {
            schema.check(payload)?;
        }
        let drift = match &self.schema {
            Some(schema) if self.report_drift => schema.drift(payload),
            _ => Vec::new(),
        };
        let Body::Rules(rules) = &self.body else { return Ok(Mapped { facts: Vec::new(), drift }) };
        let root = Value::from(payload);
        let here = Found { value: root.clone(), path: Vec::new() };
        let scope = Scope { here: here.clone(), root, event: event_value(event), parent: here };
        let mut run = Run { scope, left: STEPS_PER_EVENT, facts: Vec::new(), legs: HashMap::new(), lines: 0 };
        run.rules(rules)?;
        run.facts.sort_by_key(|fact| (fact.line, fact.leg));
        Ok(Mapped { facts: run.facts, drift })
    }
}

fn event_value(event: &EventContext) -> Value {
    let member = |name: &str, text: String| (name.into(), Value::string(text));
    let members = [
        member("vendorId", event.vendor_id.to_string()),
        member("externalEventId", event.external_event_id.to_string()),
        member("eventType", event.event_type.to_string()),
        member("occurredAt", event.occurred_at.to_string()),
    ];
    Value::object(members.into_iter().collect())
}

struct Run {
    scope: Scope,
    left: u64,
    facts: Vec<MappedFact>,
    /// The next leg of a line.
    legs: HashMap<u32, u8>,
    /// Order lines so far.
    lines: usize,
}

impl Run {
    fn rules(&mut self, rules: &[Rule]) -> Result<(), Rejection> {
        // Rules with one `each` share its elements and lines; the lines of the next `each` follow.
        let mut groups: Vec<(usize, Vec<Scope>)> = Vec::new();
        let mut first_line = 0;
        for rule in rules {
            if rule.group == groups.len() {
                let scopes = self.elements(rule.each.as_ref())?;
                let count = scopes.len();
                groups.push((first_line, scopes));
                first_line += count;
                if first_line > MAX_FACTS {
                    return Err(too_many("elements", first_line));
                }
            }
            let (first, scopes) = &groups[rule.group];
            for (index, scope) in scopes.iter().enumerate() {
                let line = u32::try_from(first + index).unwrap_or(u32::MAX);
                if self.holds(rule, scope)? {
                    self.fact(rule, scope, line)?;
                }
            }
        }
        Ok(())
    }

    fn elements(&mut self, each: Option<&Expr>) -> Result<Vec<Scope>, Rejection> {
        let Some(each) = each else { return Ok(vec![self.scope.clone()]) };
        let elements =
            each.elements(&self.scope, &mut self.left).map_err(|rejection| rejection.about("each"))?;
        let scope = |Element { found, parent }| self.scope.within(found, parent);
        Ok(elements.into_iter().map(scope).collect())
    }

    fn holds(&mut self, rule: &Rule, scope: &Scope) -> Result<bool, Rejection> {
        let Some(when) = &rule.when else { return Ok(true) };
        let found = when.all(scope, &mut self.left).map_err(|rejection| rejection.about("when"))?;
        let problem = match found.as_slice() {
            [] => return Ok(false),
            [found] => match &found.value {
                Value::Bool(holds) => return Ok(*holds),
                Value::Null => return Ok(false),
                other => format!("is {}, neither true nor false", other.shown()),
            },
            several => format!("gives {} values; write any(…) or all(…)", several.len()),
        };
        Err(Rejection {
            code: Code::MappingFieldInvalid,
            message: format!("when: `{}` {problem}", when.text),
            pointer: when.place(scope),
        })
    }

    fn fact(&mut self, rule: &Rule, scope: &Scope, line: u32) -> Result<(), Rejection> {
        let mut reader = Reader { fields: &rule.fields, scope, left: &mut self.left };
        let occurred_at = reader.time("occurredAt")?;
        let data = match rule.gives {
            Type::InventoryUpdated => vec![Data::InventoryUpdated(reader.updated()?)],
            Type::InventoryAdjusted => reader.adjusted(rule.transfer.as_ref())?,
            Type::OrderUpdated => {
                let mut order = reader.order()?;
                if let Some(lines) = &rule.lines {
                    order.lines = self.order_lines(lines, scope)?;
                }
                vec![Data::OrderUpdated(order)]
            }
        };
        for data in data {
            let leg = self.legs.entry(line).or_insert(0);
            self.facts.push(MappedFact { line, leg: *leg, occurred_at, data });
            // At most two facts for each of 16 rules.
            *leg = leg.saturating_add(1);
        }
        match self.facts.len() {
            facts if facts > MAX_FACTS => Err(too_many("facts", facts)),
            _ => Ok(()),
        }
    }

    fn order_lines(&mut self, lines: &Lines, scope: &Scope) -> Result<Vec<OrderLine>, Rejection> {
        let elements =
            lines.each.elements(scope, &mut self.left).map_err(|rejection| rejection.about("lines"))?;
        self.lines += elements.len();
        if self.lines > MAX_FACTS {
            return Err(too_many("order lines", self.lines));
        }
        let line = |Element { found, parent }| {
            let scope = scope.within(found, parent);
            Reader { fields: &lines.fields, scope: &scope, left: &mut self.left }.line()
        };
        elements
            .into_iter()
            .map(line)
            .collect::<Result<_, _>>()
            .map_err(|rejection: Rejection| rejection.about("lines"))
    }
}

fn too_many(what: &str, count: usize) -> Rejection {
    Rejection {
        code: Code::MappingTooManyFacts,
        message: format!(
            "the payload has {count} {what}; at most {MAX_FACTS} are taken, so send it in parts"
        ),
        pointer: String::new(),
    }
}

/// Reads the fields of one element.
struct Reader<'a> {
    fields: &'a Fields,
    scope: &'a Scope,
    left: &'a mut u64,
}

impl Reader<'_> {
    /// What `read` gives, and a rejection where the field needs a value and has none.
    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Source, &Scope, &mut u64) -> Result<Option<T>, Rejection>,
    ) -> Result<Option<T>, Rejection> {
        let Some(source) = self.fields.get(name) else { return Ok(None) };
        match read(source, self.scope, self.left)? {
            None if !source.optional() && !source.is_unstated() => Err(source.missing(self.scope)),
            value => Ok(value),
        }
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Rejection> {
        self.read(name, Source::text)
    }

    fn decimal(&mut self, name: &str) -> Result<Option<Decimal>, Rejection> {
        self.read(name, Source::decimal)
    }

    fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Rejection> {
        self.read(name, Source::time)
    }

    /// A field that the document must have and that cannot be optional.
    fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T, Rejection> {
        value.ok_or_else(|| Rejection {
            code: Code::MappingFieldMissing,
            message: format!("{name}: the payload does not say it"),
            pointer: pointer(&self.scope.here.path),
        })
    }

    fn item(&mut self, sku: Option<&str>) -> Result<Item, Rejection> {
        let mut sku_alt: Vec<String> = Vec::new();
        for source in self.fields.all("skuAlt") {
            for text in source.texts(self.scope, self.left)? {
                // Other ids of the item: where one of them had to be the sku, it is no other.
                if sku != Some(text.as_str()) && !sku_alt.contains(&text) {
                    sku_alt.push(text);
                }
            }
        }
        Ok(Item {
            sku_alt,
            gtin: self.text("gtin")?,
            unit_of_measure: self.text("unitOfMeasure")?,
            lot: self.text("lot")?,
            expiry: self.text("expiry")?,
            condition: self.text("condition")?,
            sequence: self.read("sequence", Source::sequence)?,
        })
    }

    fn updated(&mut self) -> Result<InventoryUpdated, Rejection> {
        let sku = self.text("sku")?;
        let data = InventoryUpdated {
            sku: self.needed("sku", sku.clone())?,
            warehouse_id: self.text("warehouseId")?,
            quantity_on_hand: self.decimal("quantityOnHand")?,
            quantity_available: self.decimal("quantityAvailable")?,
            quantity_reserved: self.decimal("quantityReserved")?,
            quantity_incoming: self.decimal("quantityIncoming")?,
            item: self.item(sku.as_deref())?,
            discontinued: self.read("discontinued", Source::boolean)?,
        };
        let quantities = [
            &data.quantity_on_hand,
            &data.quantity_available,
            &data.quantity_reserved,
            &data.quantity_incoming,
        ];
        if quantities.into_iter().all(Option::is_none) {
            let sources = QUANTITIES.into_iter().filter_map(|name| self.fields.get(name));
            return match sources.map(|source| source.missing(self.scope)).next() {
                Some(rejection) => Err(rejection),
                None => self.needed("quantity", None),
            };
        }
        Ok(data)
    }

    fn adjusted(&mut self, transfer: Option<&(Source, Source)>) -> Result<Vec<Data>, Rejection> {
        let sku = self.text("sku")?;
        let delta = self.decimal("delta")?;
        let data = InventoryAdjusted {
            sku: self.needed("sku", sku.clone())?,
            warehouse_id: self.text("warehouseId")?,
            delta: self.needed("delta", delta)?,
            reason: self.text("reason")?,
            counterpart_warehouse_id: self.text("counterpartWarehouseId")?,
            item: self.item(sku.as_deref())?,
        };
        let Some((from, to)) = transfer else { return Ok(vec![Data::InventoryAdjusted(data)]) };
        let mut end = |source: &Source, which: &str| match source.text(self.scope, self.left) {
            Ok(Some(warehouse)) => Ok(warehouse),
            Ok(None) => Err(source.missing(self.scope).about(which)),
            Err(rejection) => Err(rejection.about(which)),
        };
        let (from, to) = (end(from, "transfer.from")?, end(to, "transfer.to")?);
        let leg = |delta: Decimal, warehouse: &String, counterpart: &String| {
            Data::InventoryAdjusted(InventoryAdjusted {
                delta,
                warehouse_id: Some(warehouse.clone()),
                counterpart_warehouse_id: Some(counterpart.clone()),
                ..data.clone()
            })
        };
        Ok(vec![leg(data.delta.negated(), &from, &to), leg(data.delta.clone(), &to, &from)])
    }

    fn order(&mut self) -> Result<OrderUpdated, Rejection> {
        let order_id = self.text("orderId")?;
        let status = self.read("status", Source::status)?;
        let mut vendor_status = self.text("vendorStatus")?;
        // The vendor's own word stays beside its translation, unless the document says another.
        let translated = self.fields.get("status").filter(|source| source.has_words());
        if let (None, Some(source)) = (self.fields.get("vendorStatus"), translated) {
            vendor_status = source.word(self.scope, self.left)?;
        }
        Ok(OrderUpdated {
            order_id: self.needed("orderId", order_id)?,
            order_number: self.text("orderNumber")?,
            status: self.needed("status", status)?,
            vendor_status,
            currency: self.text("currency")?,
            total: self.decimal("total")?,
            created_at: self.time("createdAt")?,
            sequence: self.read("sequence", Source::sequence)?,
            lines: Vec::new(),
        })
    }

    fn line(&mut self) -> Result<OrderLine, Rejection> {
        Ok(OrderLine {
            line_id: self.text("lineId")?,
            sku: self.text("sku")?,
            description: self.text("description")?,
            quantity: self.decimal("quantity")?,
            unit: self.text("unit")?,
            unit_price: self.decimal("unitPrice")?,
            status: self.text("status")?,
        })
    }
}
