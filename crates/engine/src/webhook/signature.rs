//! The scheme of Standard Webhooks: `v1,` and HMAC-SHA256 over `id.timestamp.body`, once for each secret that holds.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sandbar_secrets::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// What every secret begins with, so that scanners for leaked secrets know it.
const MARK: &str = "whsec_";

/// A new secret, from 256 random bits.
pub(super) fn generate(random: [u8; 32]) -> SecretString {
    SecretString::from(format!("{MARK}{}", BASE64_STANDARD.encode(random)))
}

/// The value of `webhook-signature`: one signature for each secret, apart by spaces.
pub(super) fn sign(secrets: &[SecretString], id: &str, timestamp: i64, body: &str) -> String {
    let signatures = secrets.iter().map(|secret| {
        let text = secret.expose_secret();
        let encoded = text.strip_prefix(MARK).unwrap_or(text);
        let key = BASE64_STANDARD.decode(encoded).expect("we made it so");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length is one");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn a_signature_is_the_one_of_the_standard() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = sign(
            &[secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_make_two_signatures() {
        let secrets = [generate([1; 32]), generate([2; 32])];
        let both = sign(&secrets, "a", 1, "{}");
        let one: Vec<_> = both.split(' ').collect();
        assert_eq!(one.len(), 2);
        assert_eq!(one[1], sign(&secrets[1..], "a", 1, "{}"));
    }
}
