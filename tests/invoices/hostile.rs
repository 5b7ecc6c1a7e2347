//! Documents that mean harm, or none: the right state and reason each, the worker alive, other jobs unaffected.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use serde_json::json;

use crate::documents::{id, ubl};
use crate::support::{Place, eventually, http};

fn bomb() -> String {
    let entities: String = (1..10)
        .map(|level| format!("<!ENTITY e{level} \"{}\">", format!("&e{};", level - 1).repeat(10)))
        .collect();
    format!("<!DOCTYPE Invoice [<!ENTITY e0 \"x\">{entities}]><Invoice>&e9;</Invoice>")
}

#[tokio::test]
async fn each_gets_its_own_reason_and_the_rest_goes_on() {
    let place = Place::new();
    let dvss = place.up().go().await;
    dvss.vendor("north").await;
    let xxe = "<!DOCTYPE Invoice [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Invoice>&x;</Invoice>";
    let order = ubl("PO-1", &[("A", 1, 1)]).replace("Invoice", "Order");
    for (name, text, reason) in [
        ("bomb.xml", bomb(), "forbidden"),
        ("xxe.xml", xxe.to_owned(), "forbidden"),
        ("torn.xml", ubl("RE-1", &[("A", 1, 1)])[..400].to_owned(), "damaged"),
        ("deep.xml", "<a>".repeat(200_000), "too-large"),
        ("blank.pdf", " \n \n".to_owned(), "empty"),
        ("order.xml", order, "not-an-invoice"),
        ("broken.pdf", "%PDF-1.7\n1 0 obj\n<<".to_owned(), "damaged"),
        ("letter.txt", "Dear Sir or Madam".to_owned(), "unsupported"),
    ] {
        let job = dvss.invoice(&place, name, &text).await;
        assert_eq!(
            (&job["state"], &job["reason"]["code"]),
            (&json!("FAILED"), &json!(reason)),
            "{name}: {job}"
        );
        assert!(!job["reason"]["message"].as_str().unwrap_or_default().is_empty(), "{name}");
    }
    // A wrong name is nobody's fault: the bytes are looked at.
    let job = dvss.invoice(&place, "really-xml.pdf", &ubl("RE-2", &[("A", 1, 1)])).await;
    assert_eq!((&job["state"], &job["summary"]["number"]), (&json!("REVIEW"), &json!("RE-2")), "{job}");
    dvss.stop().await;
}

#[tokio::test]
async fn a_parser_that_is_out_of_time_or_memory_fails_its_document_alone() {
    let large = ubl("RE-1", &(0..20_000).map(|_| ("A-1", 1, 1)).collect::<Vec<_>>());
    for (name, value, reason) in [
        ("DVSS_PARSER__WALL", "1ms", "parser-timed-out"),
        ("DVSS_PARSER__MEMORY_BYTES", "100000000", "parser-out-of-memory"),
    ] {
        let place = Place::new();
        let dvss = place.up().env("DVSS_INVOICES__RETRY_AFTER", "10ms").env(name, value).go().await;
        dvss.vendor("north").await;
        let job = dvss.invoice(&place, "large.xml", &large).await;
        assert_eq!((&job["state"], &job["reason"]["code"]), (&json!("FAILED"), &json!(reason)), "{job}");
        assert!(job["reason"]["message"].to_string().contains("attempt 3 of 3"), "{job}");
        dvss.stop().await;
    }
}

/// A PDF whose one page is a stream of so many zeros.
fn pdf_bomb(bytes: usize) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b' '; bytes]).expect("memory");
    let packed = packed.finish().expect("memory");
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    let mut object = |pdf: &mut Vec<u8>, text: &str, stream: Option<&[u8]>| {
        places.push(pdf.len());
        pdf.extend(format!("{} 0 obj\n{text}\n", places.len()).bytes());
        if let Some(stream) = stream {
            pdf.extend(b"stream\n");
            pdf.extend(stream);
            pdf.extend(b"\nendstream\n");
        }
        pdf.extend(b"endobj\n");
    };
    object(&mut pdf, "<< /Type /Catalog /Pages 2 0 R >>", None);
    object(&mut pdf, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>", None);
    object(&mut pdf, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>", None);
    object(&mut pdf, &format!("<< /Length {} /Filter /FlateDecode >>", packed.len()), Some(&packed));
    let start = pdf.len();
    pdf.extend(b"xref\n0 5\n0000000000 65535 f \n");
    for place in places {
        pdf.extend(format!("{place:010} 00000 n \n").bytes());
    }
    pdf.extend(format!("trailer << /Size 5 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").bytes());
    pdf
}

/// A workbook whose one sheet unpacks to so many bytes.
fn xlsx_bomb(bytes: usize) -> Vec<u8> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b' '; bytes]).expect("memory");
    let (packed, name) = (packed.finish().expect("memory"), b"xl/workbook.xml");
    let mut crc = flate2::Crc::new();
    crc.update(&vec![b' '; bytes]);
    let [length, size] =
        [packed.len(), bytes].map(|length| u32::try_from(length).expect("small").to_le_bytes());
    let head =
        [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], &crc.sum().to_le_bytes(), &length, &size, &[15, 0, 0, 0]]
            .concat();
    let mut zip = [b"PK\x03\x04", &head[..], name, &packed].concat();
    let directory = zip.len();
    zip.extend([b"PK\x01\x02\x14\0", &head[..], &[0; 14], name].concat());
    let length = zip.len() - directory;
    let places = [length, directory].map(|place| u32::try_from(place).expect("small").to_le_bytes()).concat();
    zip.extend([b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &places[..], &[0, 0]].concat());
    zip
}

#[tokio::test]
async fn bombs_are_too_large() {
    let place = Place::new();
    let dvss = place.up().go().await;
    dvss.vendor("north").await;
    for (name, bytes) in [("bomb.pdf", pdf_bomb(400_000_000)), ("bomb.xlsx", xlsx_bomb(400_000_000))] {
        let file = place.file(name, "").display().to_string();
        std::fs::write(&file, bytes).expect("a temporary file");
        let ran = dvss.cli(&["invoices", "upload", &file, "--vendor", "north", "--json"]).await;
        let job: serde_json::Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!(
            (&job["state"], &job["reason"]["code"]),
            (&json!("FAILED"), &json!("too-large")),
            "{name}: {job}"
        );
        assert_eq!(job["attempts"], 0, "{name}: it was refused, and ended nobody");
    }
    dvss.stop().await;
}

/// The parser's child of a process, as `/proc` has it.
fn child_of(parent: u32) -> Option<u32> {
    let processes =
        std::fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |process: &u32| {
        let of = |what: &str| std::fs::read(format!("/proc/{process}/{what}")).unwrap_or_default();
        let status = String::from_utf8_lossy(&of("status")).into_owned();
        status.contains(&format!("PPid:\t{parent}\n"))
            && of("cmdline").windows(15).any(|part| part == b"parse-sandboxed")
    };
    processes.into_iter().find(is_child)
}

#[tokio::test]
async fn a_parser_that_is_killed_reads_it_the_next_time() {
    let place = Place::new();
    // A busy machine is no reason to run out of time: the kill is what is looked at.
    let patient = place.up().env("DVSS_PARSER__WALL", "8s").env("DVSS_RUNTIME__DEADLINE", "9s");
    let dvss = patient.env("DVSS_INVOICES__RETRY_AFTER", "10ms").go().await;
    dvss.vendor("north").await;
    let large = ubl("RE-1", &(0..8_000).map(|_| ("A-1", 1, 1)).collect::<Vec<_>>());
    let file = place.file("large.xml", &large).display().to_string();
    let ran = dvss.cli(&["invoices", "upload", &file, "--vendor", "north", "--no-wait", "--json"]).await;
    let job = id(&serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}")));
    let parent = dvss.process();
    let child = eventually("the parser runs", async || child_of(parent)).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(child).expect("a process")).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
    let read = dvss.job_in(&job, "REVIEW").await;
    assert_eq!(read["attempts"], 1, "{}", read["events"]);
    let log = read["events"].to_string();
    assert!(log.contains("parser-killed: the parser was ended by signal 9"), "{log}");
    dvss.stop().await;
}

#[tokio::test]
async fn what_is_never_uploaded_expires() {
    let place = Place::new();
    let dvss = place
        .up()
        .env("DVSS_INVOICES__UPLOAD_EXPIRES", "1s")
        .env("DVSS_INVOICES__SUBMIT_WITHIN", "1s")
        .go()
        .await;
    dvss.vendor("north").await;
    let announced = json!({ "vendorId": "north", "fileName": "a.xml", "contentType": "application/xml", "contentLength": 7, "here": true });
    let job = dvss.operate("/invoices", announced.clone()).await.expect(201).clone();
    let expired = dvss.job_in(&id(&job), "EXPIRED").await;
    assert_eq!(expired["reason"]["code"], "expired");
    let late = http().put(job["upload"]["url"].as_str().expect("a url")).header("if-none-match", "*");
    let late =
        dvss.ask(late.header("content-type", "application/xml").body("<a></a>")).await.expect("an answer");
    late.refused(403, "upload-forbidden");
    dvss.operate(&format!("/invoices/{}/submit", id(&job)), json!({})).await.refused(409, "invoice-state");
    for (length, code) in [(0, "request-invalid"), (1_u64 << 40, "body-too-large")] {
        let mut odd = announced.clone();
        odd["contentLength"] = json!(length);
        let status = if length == 0 { 400 } else { 413 };
        dvss.operate("/invoices", odd).await.refused(status, code);
    }
    dvss.stop().await;
}
