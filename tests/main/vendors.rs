//! Vendors and their keys, as `dvss vendors` manages them.

use serde_json::{Value, json};

use crate::support::{Dvss, NOON, Place, Vendor, eventually, members, stock};

fn with_key(id: &str, shown: &Value) -> Vendor {
    Vendor { id: id.to_owned(), key: shown["key"].as_str().expect("a key, shown once").to_owned() }
}

/// Waits until the door answers so: it remembers a vendor for a moment.
async fn door_says(dvss: &Dvss, vendor: &Vendor, status: u16, code: Option<&str>) {
    let what = format!("the door answers {} with {status} {code:?}", vendor.id);
    eventually(&what, async || {
        let answer = dvss.send(vendor, &stock("probe", NOON, "P", "1")).await;
        ((answer.status, answer.body["code"].as_str()) == (status, code)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn keys_are_shown_once_rotate_and_are_revoked() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    let added = dvss.cli(&["vendors", "add", "acme", "--platform", "dvss", "--json"]).await.json();
    assert_eq!(added["vendorId"], "acme");
    let old = with_key("acme", &added);
    assert!(old.key.len() >= 32, "a key that nobody guesses");
    dvss.send(&old, &stock("probe", NOON, "P", "1")).await.expect(202);

    let typo = dvss.cli(&["vendors", "add", "zeta", "--platform", "shopfy"]).await;
    assert!(
        typo.code == 0 && typo.stderr.contains("warning: ") && typo.stderr.contains("shopfy"),
        "{typo:?}"
    );
    let mended = dvss.cli(&["vendors", "set", "zeta", "--platform", "shopify"]).await;
    assert!(mended.code == 0 && mended.stderr.is_empty(), "{mended:?}");
    let listed = dvss.cli(&["vendors", "list", "--json"]).await.json();
    let row = listed["vendors"].as_array().expect("vendors").iter().find(|row| row["vendorId"] == "acme");
    assert_eq!(row.expect("it is listed")["disabled"], false);
    assert!(!listed.to_string().contains(&old.key), "a key is never shown again");

    let new = with_key("acme", &dvss.cli(&["vendors", "rotate", "acme", "--json"]).await.json());
    assert_ne!(new.key, old.key);
    for key in [&new, &old] {
        dvss.send(key, &stock("probe", NOON, "P", "1")).await.expect(200);
    }
    let revoked = dvss.cli(&["vendors", "revoke", "acme", "--json"]).await.json();
    assert!(!members(&revoked).contains(&"key"), "{revoked}");
    door_says(&dvss, &old, 401, Some("unauthorized")).await;
    dvss.send(&new, &stock("probe", NOON, "P", "1")).await.expect(200);

    dvss.cli(&["vendors", "disable", "acme", "--json"]).await.json();
    door_says(&dvss, &new, 403, Some("vendor-disabled")).await;
    dvss.cli(&["vendors", "enable", "acme", "--json"]).await.json();
    door_says(&dvss, &new, 200, None).await;

    // No key is in the store's files, in the log, or in what operators see.
    let log = dvss.logged();
    assert!(!log.contains(&new.key) && !log.contains(&old.key));
    dvss.stop().await;
    let secret = new.key.rsplit(['.', '_', '-']).next().expect("a secret part").as_bytes().to_vec();
    for file in std::fs::read_dir(place.data()).expect("a directory") {
        let path = file.expect("an entry").path();
        let bytes = if path.is_file() { std::fs::read(&path).expect("readable") } else { continue };
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret),
            "the key is in {}",
            path.display()
        );
    }
}

#[tokio::test]
async fn mistakes_with_vendors_have_codes_and_exit_codes() {
    let place = Place::new();
    let dvss = place.up().go().await;
    dvss.vendor("acme").await;
    for (arguments, code) in [
        (&["vendors", "add", "acme"][..], "vendor-exists"),
        (&["vendors", "add", "../acme"], "vendor-id-invalid"),
        (&["vendors", "add", "=cmd()"], "vendor-id-invalid"),
        (&["vendors", "rotate", "nobody"], "not-found"),
        (&["vendors", "disable", "nobody"], "not-found"),
        (&["vendors", "add", "two", "--ordering-pointer", "payload/sku"], "request-invalid"),
    ] {
        let ran = dvss.cli(arguments).await;
        assert_eq!(ran.code, 5, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(code) && ran.stdout.is_empty(), "{arguments:?}: {ran:?}");
    }
    let answer = dvss.operate("/vendors", json!({"vendorId": "three", "unknown": 1})).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    dvss.stop().await;
}

#[tokio::test]
async fn settings_are_set_and_taken_away() {
    let place = Place::new();
    let dvss = place.up().go().await;
    dvss.cli(&["vendors", "add", "acme", "--platform", "shopify", "--json"]).await.json();
    let set =
        dvss.cli(&["vendors", "set", "acme", "--ordering-pointer", "/payload/sku", "--rate", "7", "--json"]);
    let set = set.await.json();
    assert_eq!(
        [&set["platform"], &set["orderingPointer"], &set["eventsPerSecond"]],
        [&json!("shopify"), &json!("/payload/sku"), &json!(7)]
    );
    let set = dvss.cli(&["vendors", "set", "acme", "--platform", "", "--rate", "0", "--json"]).await.json();
    assert_eq!((set.get("platform"), set.get("eventsPerSecond")), (None, None), "{set}");
    assert_eq!(set["orderingPointer"], "/payload/sku", "what is not named stays");
    let nobody = dvss.cli(&["vendors", "set", "nobody", "--rate", "1"]).await;
    assert!(nobody.code == 5 && nobody.stderr.contains("not-found"), "{nobody:?}");
    dvss.stop().await;
}
