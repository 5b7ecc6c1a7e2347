//! Writes small PDFs for tests.

#![allow(dead_code, reason = "each test binary uses its part")]

/// A page: texts in Helvetica by place from the upper left corner, as (x, y, size, text).
#[derive(Default)]
pub struct Sheet {
    pub content: String,
    pub resources: String,
}

impl Sheet {
    pub fn text(mut self, x: f32, y: f32, text: &str) -> Self {
        let escaped = text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
        self.content.push_str(&format!("BT /F 10 Tf 1 0 0 1 {x} {} Tm ({escaped}) Tj ET\n", 842.0 - y));
        self
    }

    /// Ends at `x`.
    pub fn right(self, x: f32, y: f32, text: &str) -> Self {
        let width: f32 = text
            .chars()
            .map(|character| match character {
                '0'..='9' | '€' => 5.56,
                ',' | '.' | ' ' | '\'' | '/' => 2.78,
                '-' => 3.33,
                '%' => 8.89,
                _ => 6.0,
            })
            .sum();
        self.text(x - width, y, text)
    }

    /// Texts in one row, those from the second on ending at their places.
    pub fn row(mut self, y: f32, texts: &[(f32, &str)]) -> Self {
        for (at, (x, text)) in texts.iter().enumerate() {
            self = if at == 0 { self.text(*x, y, text) } else { self.right(*x, y, text) };
        }
        self
    }
}

/// Objects to a file with a cross-reference table; object 1 is the catalogue.
pub fn file(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(bytes.len());
        bytes.extend(format!("{} 0 obj\n", index + 1).bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let start = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        bytes.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    bytes.extend(
        format!(
            "trailer\n<< /Size {} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n",
            objects.len() + 1
        )
        .bytes(),
    );
    bytes
}

pub fn stream(dict: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("<< {dict} /Length {} >>\nstream\n", data.len()).into_bytes();
    bytes.extend(data);
    bytes.extend(b"\nendstream");
    bytes
}

/// WinAnsi, as far as these texts go.
pub fn encoded(text: &str) -> Vec<u8> {
    text.chars()
        .map(
            |character| {
                if character == '€' { 0x80 } else { u8::try_from(u32::from(character)).unwrap_or(b'?') }
            },
        )
        .collect()
}

pub fn document(sheets: Vec<Sheet>) -> Vec<u8> {
    document_with(sheets, "", Vec::new(), "")
}

pub fn document_with(sheets: Vec<Sheet>, catalogue: &str, extra: Vec<Vec<u8>>, trailer: &str) -> Vec<u8> {
    let first = 4 + extra.len();
    let kids: Vec<String> = (0..sheets.len()).map(|at| format!("{} 0 R", first + 2 * at)).collect();
    let mut objects = vec![
        format!("<< /Type /Catalog /Pages 2 0 R {catalogue} >>").into_bytes(),
        format!("<< /Type /Pages /Count {} /Kids [{}] >>", kids.len(), kids.join(" ")).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    objects.extend(extra);
    for (at, sheet) in sheets.iter().enumerate() {
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F 3 0 R >> {} >> /Contents {} 0 R >>",
                sheet.resources,
                first + 2 * at + 1
            )
            .into_bytes(),
        );
        objects.push(stream("", &encoded(&sheet.content)));
    }
    file(&objects, trailer)
}

/// Compressed as Flate streams are.
pub fn deflated(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}

/// The upper part of a German invoice: two lines of 570.00 net in all.
pub fn german() -> Sheet {
    Sheet::default()
        .text(50.0, 60.0, "Nordlicht Werkzeuge GmbH")
        .text(50.0, 120.0, "Hafenkontor Süd e.K.")
        .row(160.0, &[(350.0, "Rechnungsnummer:"), (545.0, "NW-2026/0815")])
        .row(174.0, &[(350.0, "Rechnungsdatum:"), (545.0, "03.04.2026")])
        .row(188.0, &[(350.0, "Fällig am:"), (545.0, "17.04.2026")])
        .row(
            240.0,
            &[
                (50.0, "Pos."),
                (150.0, "Bezeichnung"),
                (330.0, "Menge"),
                (380.0, "Einheit"),
                (460.0, "Einzelpreis"),
                (545.0, "Gesamt EUR"),
            ],
        )
        .row(260.0, &[(50.0, "1"), (330.0, "1.200"), (380.0, "Stk"), (460.0, "0,45"), (545.0, "540,00")])
        .text(95.0, 260.0, "Schraube M6 x 40")
        .text(95.0, 272.0, "verzinkt, Art.-Nr. 77310")
        .row(290.0, &[(50.0, "2"), (330.0, "2,5"), (380.0, "m"), (460.0, "12,00"), (545.0, "30,00")])
        .text(95.0, 290.0, "Stahlband 40 mm")
}
