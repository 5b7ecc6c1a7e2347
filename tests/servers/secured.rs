//! Kafka over TLS, with a password.

use crate::starts::{SECRET, waits_for};
use crate::support::oracle::{assert_balanced, assert_once, public};
use crate::support::servers::stack;
use crate::support::{Place, seconds_past_noon as at, stock};

/// Everything goes by the secured way, and who does not know the password, or does not trust the broker's
/// certificate, waits and says why.
#[tokio::test]
async fn kafka_over_tls_with_a_password() {
    let Some(stack) = stack() else { return };
    let place = Place::on(stack.clone());
    let brokers = stack.text("/kafkaSecured/brokers");
    let (ca, user) = (stack.text("/kafkaSecured/ca"), stack.text("/kafkaSecured/username"));
    let secured = |tls: &str, password: &str| {
        let sasl = format!("{{mechanism: SCRAM-SHA-512, username: {user}, password: {password}}}");
        place
            .up()
            .env("DVSS_SERVERS__KAFKA__BROKERS", &brokers)
            .env("DVSS_SERVERS__KAFKA__SECURITY", &format!("{{tls: {tls}, sasl: {sasl}}}"))
    };
    let (trusts, knows) = (format!("{{ca: '{ca}'}}"), stack.text("/kafkaSecured/password"));
    place.prepare().await;
    let dvss = secured(&trusts, &knows).go().await;
    let acme = dvss.vendor("acme").await;
    let sent = dvss.deliver(&acme, &stock("e1", &at(1), "A", "1")).await;
    dvss.published(&sent.id()).await;
    assert_balanced(&dvss.settled().await);
    assert_once(&public(&dvss).await);
    dvss.stop().await;

    waits_for(secured(&trusts, SECRET), &["Kafka", "SASL"]).await;
    waits_for(secured("{}", &knows), &["Kafka", "certificate"]).await;
}
