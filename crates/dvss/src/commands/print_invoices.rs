//! Invoices, in words.

use serde_json::Value;

use super::print::{cell, columns};

/// A job in one line or two.
pub fn job(job: &Value) -> String {
    let summary = &job["summary"];
    let mut text =
        format!("{}  {}  {}", cell(&job["jobId"]), cell(&job["state"]), cell(&job["file"]["name"]));
    if !summary.is_null() {
        text += &format!(
            "  {} {}, {} {}, {} lines, {} to decide, {} flags",
            cell(&summary["kind"]),
            cell(&summary["number"]),
            cell(&summary["gross"]),
            cell(&summary["currency"]),
            cell(&summary["lines"]),
            cell(&summary["open"]),
            cell(&summary["flags"])
        );
    }
    if let Some(message) = job["reason"]["message"].as_str() {
        text += &format!("\n  {}: {}", cell(&job["reason"]["code"]), cell(&message.into()));
    }
    text + "\n"
}

/// A page of jobs.
pub fn jobs(answer: &Value) -> String {
    columns(
        &answer["jobs"],
        &[
            ("JOB", "/jobId"),
            ("STATE", "/state"),
            ("VENDOR", "/vendorId"),
            ("NUMBER", "/summary/number"),
            ("GROSS", "/summary/gross"),
            ("", "/summary/currency"),
            ("LINES", "/summary/lines"),
            ("OPEN", "/summary/open"),
            ("FLAGS", "/summary/flags"),
            ("FILE", "/file/name"),
            ("CHANGED", "/updatedAt"),
        ],
    )
}

/// Everything about a job.
pub fn job_in_full(answer: &Value) -> String {
    let mut text = job(answer);
    text += &format!("version {}\n", cell(&answer["version"]));
    let document = &answer["document"];
    if !document.is_null() {
        text += &format!("\n{}", reading(&document["invoice"]));
        let impact = &answer["impact"];
        if impact.is_array() {
            let header = [
                ("LINE", "/line"),
                ("ENTITY", "/entity"),
                ("BEFORE", "/before"),
                ("DELTA", "/delta"),
                ("AFTER", "/after"),
            ];
            text += &format!("\nStock\n{}", columns(impact, &header));
        }
        for open in answer["open"].as_array().into_iter().flatten() {
            text += &format!("to decide: {}\n", cell(open));
        }
    }
    for row in answer["parked"].as_array().into_iter().flatten() {
        text += &format!(
            "in quarantine: {} {}: {} ({}); release or discard it\n",
            cell(&row["stage"]),
            cell(&row["identity"]),
            cell(&row["message"]),
            cell(&row["code"])
        );
    }
    text += "\nWho did what\n";
    text + &columns(
        &answer["events"],
        &[("WHEN", "/at"), ("WHO", "/actor"), ("WHAT", "/action"), ("STATE", "/state"), ("", "/message")],
    )
}

/// What a document says.
pub fn reading(invoice: &Value) -> String {
    let mut text = String::new();
    for (name, pointer) in [
        ("format", "/format"),
        ("kind", "/kind"),
        ("number", "/number"),
        ("issueDate", "/issueDate"),
        ("currency", "/currency"),
        ("supplier", "/supplier/name"),
        ("buyer", "/buyer/name"),
        ("net", "/totals/net"),
        ("tax", "/totals/tax"),
        ("gross", "/totals/gross"),
        ("payable", "/totals/payable"),
    ] {
        text += &format!("{name:10} {}\n", invoice.pointer(pointer).map(cell).unwrap_or_default());
    }
    text += &columns(
        &invoice["lines"],
        &[
            ("LINE", "/line"),
            ("SKU", "/sku"),
            ("GTIN", "/gtin"),
            ("DESCRIPTION", "/description"),
            ("QUANTITY", "/quantity"),
            ("UNIT", "/unit"),
            ("PRICE", "/unitPrice"),
            ("NET", "/net"),
        ],
    );
    for flag in flags(invoice) {
        text += &format!("flag: {flag}\n");
    }
    text
}

fn flags(invoice: &Value) -> Vec<String> {
    let of = |flags: &Value, whose: &str| {
        let flags = flags.as_array().cloned().unwrap_or_default();
        flags
            .iter()
            .map(|flag| format!("{whose}{} ({})", cell(&flag["message"]), cell(&flag["code"])))
            .collect::<Vec<_>>()
    };
    let mut all = of(&invoice["flags"], "");
    for line in invoice["lines"].as_array().into_iter().flatten() {
        all.extend(of(&line["flags"], &format!("line {}: ", cell(&line["line"]))));
    }
    all
}
