//! PDFs that are empty, broken or made to do harm: refused with the right reason, never a panic, never a hang.

mod pages;

use pages::{Sheet, deflated, document, document_with, file, german, stream};
use readers::{Hints, Reason, pdf};

fn refused(bytes: &[u8]) -> Reason {
    pdf::read(bytes, &Hints::default()).expect_err("a refusal").reason
}

#[test]
fn pictures_of_documents_have_no_text() {
    let picture = stream(
        "/Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8",
        &[0, 255, 255, 0],
    );
    let sheet = Sheet {
        content: "q 500 0 0 700 40 40 cm /I Do Q".to_owned(),
        resources: "/XObject << /I 4 0 R >>".to_owned(),
    };
    assert_eq!(refused(&document_with(vec![sheet], "", vec![picture], "")), Reason::NoText);
    assert_eq!(refused(&document(vec![Sheet::default()])), Reason::NoText);
}

#[test]
fn text_that_is_no_invoice_is_told_so() {
    let letter = Sheet::default().text(50.0, 60.0, "Dear customer, thank you for 10 years of trust.");
    assert_eq!(refused(&document(vec![letter])), Reason::NoInvoice);
}

#[test]
fn a_password_is_told_from_damage() {
    let encrypt = "<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <0000000000000000000000000000000000000000000000000000000000000000> /U <1111111111111111111111111111111111111111111111111111111111111111> >>";
    let bytes = document_with(
        vec![german()],
        "",
        vec![encrypt.as_bytes().to_vec()],
        "/Encrypt 4 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]",
    );
    assert_eq!(refused(&bytes), Reason::Encrypted);
}

#[test]
fn truncated_and_mutilated_files_never_panic() {
    let whole = document(vec![german(), german()]);
    for length in (0..whole.len()).step_by(97) {
        let _ = pdf::read(&whole[..length], &Hints::default());
    }
    for at in (0..whole.len()).step_by(61) {
        let mut broken = whole.clone();
        broken[at] ^= 0x5a;
        let _ = pdf::read(&broken, &Hints::default());
    }
    assert_eq!(refused(b"%PDF-1.7\n"), Reason::Damaged);
    assert_eq!(refused(b""), Reason::Damaged);
}

/// A page whose content is object 4.
fn with_content(content: Vec<u8>, extra: Vec<Vec<u8>>, resources: &str) -> Vec<u8> {
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>".to_vec(),
        format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << {resources} >> >>").into_bytes(),
        content,
    ];
    objects.extend(extra);
    file(&objects, "")
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    // 400 MB of blanks, plain and compressed twice over.
    let once = deflated(&vec![b' '; 400 << 20]);
    let twice = deflated(&once);
    assert_eq!(
        refused(&with_content(stream("/Filter /FlateDecode", &once), Vec::new(), "")),
        Reason::TooLarge
    );
    assert_eq!(
        refused(&with_content(stream("/Filter [/FlateDecode /FlateDecode]", &twice), Vec::new(), "")),
        Reason::TooLarge
    );
    // The name of the filter written otherwise.
    assert_eq!(
        refused(&with_content(stream("/Filter /Fl#61teDecode", &once), Vec::new(), "")),
        Reason::TooLarge
    );
}

#[test]
fn data_that_decode_to_nothing_cost_no_more_than_their_length() {
    // Each keyword begins zlib data of empty blocks that go on to the end of the file.
    let mut data = Vec::new();
    for _ in 0..20_000 {
        data.extend(b"stream\n\x78\x9c");
        data.extend([0, 0, 0, 0xff, 0xff].repeat(40));
    }
    let _ = refused(&[b"%PDF-1.7\n".as_slice(), &data].concat());
}

#[test]
fn forms_that_multiply_are_refused() {
    let form = |next: &str| {
        let resources = format!(
            "/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /XObject << /N {next} >> >>"
        );
        stream(&resources, "/N Do ".repeat(10).as_bytes())
    };
    let mut extra: Vec<Vec<u8>> = (0..9).map(|at| form(&format!("{} 0 R", 6 + at))).collect();
    extra.push(stream("/Type /XObject /Subtype /Form /BBox [0 0 595 842]", b"0 0 1 1 re f"));
    let bytes = with_content(stream("", b"/N Do"), extra, "/XObject << /N 5 0 R >>");
    assert_eq!(refused(&bytes), Reason::TooLarge);
    // A form that draws itself ends by its depth.
    let own = stream(
        "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /N 5 0 R >> >>",
        b"/N Do",
    );
    let bytes = with_content(stream("", b"/N Do"), vec![own], "/XObject << /N 5 0 R >>");
    assert_eq!(refused(&bytes), Reason::NoText);
}

#[test]
fn nesting_does_not_exhaust_the_stack() {
    for open in ["[", "<<", "<</A ", "(", "[<</A "] {
        let deep = open.repeat(300_000).into_bytes();
        let _ = pdf::read(&with_content(stream("", &deep), Vec::new(), ""), &Hints::default());
        let _ = pdf::read(
            &with_content(stream("", b""), vec![deep.clone()], "/XObject 5 0 R"),
            &Hints::default(),
        );
        let font = format!("/Font << /F {} >>", open.repeat(100_000));
        let _ = pdf::read(
            &with_content(stream("", b"BT /F 9 Tf (x) Tj ET"), Vec::new(), &font),
            &Hints::default(),
        );
    }
    // Pages below pages, 10 000 deep, and a page that is its own parent.
    let mut objects = vec![b"<< /Type /Catalog /Pages 2 0 R >>".to_vec()];
    objects.extend(
        (0..10_000)
            .map(|at| format!("<< /Type /Pages /Count 1 /Kids [{} 0 R 2 0 R] >>", at + 3).into_bytes()),
    );
    let _ = pdf::read(&file(&objects, ""), &Hints::default());
    // A PostScript calculator in a tint transform, braces within braces.
    let function = stream("/FunctionType 4 /Domain [0 1] /Range [0 1]", "{".repeat(200_000).as_bytes());
    let resources = "/ColorSpace << /C [/Separation /X /DeviceGray 5 0 R] >>";
    let content = stream("", b"/C cs 0.5 scn 0 0 99 99 re f");
    let _ = pdf::read(&with_content(content, vec![function], resources), &Hints::default());
}

#[test]
fn counts_are_bounded() {
    let many: Vec<Sheet> = (0..201).map(|_| Sheet::default()).collect();
    assert_eq!(refused(&document(many)), Reason::TooLarge);
    let objects = vec![b"null".to_vec(); 250_000];
    assert_eq!(refused(&with_content(stream("", b""), objects, "")), Reason::TooLarge);
    let words = "BT /F 10 Tf (0123456789012345678901234567890123456789) Tj ET ".repeat(30_000);
    assert_eq!(
        refused(&document(vec![Sheet { content: words, resources: String::new() }])),
        Reason::TooLarge
    );
}

#[test]
fn pages_are_drawn_within_bounds() {
    let bytes = document(vec![german()]);
    let picture = pdf::render(&bytes, 1, 300).expect("a picture");
    assert_eq!(picture.get(..8), Some(&b"\x89PNG\r\n\x1a\n"[..]));
    let width = u32::from_be_bytes(picture[16..20].try_into().expect("four bytes"));
    assert_eq!(width, 300);
    assert!(pdf::render(&bytes, 2, 300).is_err());
    assert!(pdf::render(&bytes, 0, 300).is_err());
    let wide = pdf::render(&bytes, 1, u32::MAX).expect("a picture");
    assert_eq!(u32::from_be_bytes(wide[16..20].try_into().expect("four bytes")), 2_400);
    let tall = String::from_utf8_lossy(&bytes).replace("[0 0 595 842]", "[0 0 1 99999]");
    assert_eq!(pdf::render(tall.as_bytes(), 1, 2_000).expect_err("a refusal").reason, Reason::TooLarge);
}
