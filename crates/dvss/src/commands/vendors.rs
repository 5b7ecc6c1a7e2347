//! `dvss vendors …`

use serde_json::{Map, Value, json};

use super::print;
use crate::cli::Vendors;
use crate::client::{Client, segment};

pub async fn run(client: &Client, command: Vendors, json: bool) -> anyhow::Result<u8> {
    let act = async |id: String, verb: &str| {
        client.post(&format!("/vendors/{}/{verb}", segment(&id)), &json!({})).await
    };
    let answer = match command {
        Vendors::Add { id, platform, ordering_pointer, rate } => {
            let body = json!({
                "vendorId": id, "platform": platform, "orderingPointer": ordering_pointer, "eventsPerSecond": rate,
            });
            client.post("/vendors", &body).await?
        }
        Vendors::Set { id, platform, ordering_pointer, rate } => {
            let mut body = Map::new();
            let mut put =
                |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
            let text = |text: String| if text.is_empty() { Value::Null } else { Value::String(text) };
            put("platform", platform.map(text));
            put("orderingPointer", ordering_pointer.map(text));
            put("eventsPerSecond", rate.map(|rate| if rate == 0 { Value::Null } else { rate.into() }));
            client.post(&format!("/vendors/{}", segment(&id)), &Value::Object(body)).await?
        }
        Vendors::List => client.get("/vendors", &[]).await?,
        Vendors::Rotate { id } => act(id, "rotate").await?,
        Vendors::Revoke { id } => act(id, "revoke").await?,
        Vendors::Disable { id } => act(id, "disable").await?,
        Vendors::Enable { id } => act(id, "enable").await?,
    };
    print::document(&answer, json, print::vendors)
}
