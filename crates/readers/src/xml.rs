//! What the XML readers share: elements by path, amounts with their signs, values with their XPath.

use contract::Decimal;
use formats::xml::{self, Document};

use crate::draft::{Found, decimal};
use crate::invoice::{Adjustment, Place};

/// A node of a document.
pub(crate) type Node<'d> = formats::xml::Node<'d, 'd>;

/// A document whose elements are those of certain namespaces.
pub(crate) struct Tree<'d> {
    pub document: &'d Document<'d>,
    /// What a namespace starts with to be one of the format's.
    pub namespaces: &'static [&'static str],
}

impl<'d> Tree<'d> {
    /// The child elements of a name, or of one of several, as `A|B`.
    pub fn children(&self, node: Node<'d>, names: &'static str) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let namespaces = self.namespaces;
        node.children().filter(move |child| {
            let tag = child.tag_name();
            child.is_element()
                && names.split('|').any(|name| name == tag.name())
                && tag.namespace().is_some_and(|uri| namespaces.iter().any(|start| uri.starts_with(start)))
        })
    }

    /// The first element at a path (`A/B|C/D`) that is not blank.
    pub fn at(&self, node: Node<'d>, path: &'static str) -> Option<Node<'d>> {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        self.children(node, name).find_map(|child| {
            if rest.is_empty() {
                (!xml::text(child).is_empty() || child.first_element_child().is_some()).then_some(child)
            } else {
                self.at(child, rest)
            }
        })
    }

    /// The text at a path, with its place.
    pub fn found(&self, node: Node<'d>, path: &'static str) -> Option<Found> {
        self.at(node, path).and_then(|node| self.found_in(node))
    }

    /// The text of an element, with its place.
    pub fn found_in(&self, node: Node<'d>) -> Option<Found> {
        Found::new(&xml::text(node), Place::Xml { xpath: self.document.xpath(node) })
    }

    /// An attribute, with its place.
    pub fn attribute(&self, node: Node<'d>, name: &str) -> Option<Found> {
        let value = node.attribute(name)?;
        Found::new(value, Place::Xml { xpath: format!("{}/@{name}", self.document.xpath(node)) })
    }

    /// Allowances and charges: the sign is the indicator's. `Err` where one cannot be read.
    pub fn adjustment(
        &self,
        node: Node<'d>,
        indicator: &'static str,
        amount: &'static str,
        reason: &'static str,
    ) -> Result<Adjustment, String> {
        let shown = || self.document.xpath(node);
        let charge = match self.at(node, indicator).map(xml::text).as_deref() {
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            _ => return Err(format!("{}: neither an allowance nor a charge", shown())),
        };
        let text = self.at(node, amount).map(xml::text);
        let amount = text.as_deref().and_then(decimal);
        let amount: Decimal = amount.ok_or_else(|| format!("{}: the amount cannot be read", shown()))?;
        let reason = self.at(node, reason).map(xml::text);
        Ok(Adjustment { amount: if charge { amount } else { amount.negated() }, reason })
    }
}
