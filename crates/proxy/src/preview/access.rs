//! Who may see a private preview. Pure: time and randomness are arguments.
//!
//! A pass is `<kind>.<expiry>.<nonce>.<mac>`, and the mac is over the preview it is for. A ticket is good for one request
//! within 30 seconds; a share link for as many as come until it expires; both are turned into a cookie of that host alone.

use std::{collections::HashMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sandbar_types::SandboxId;
use sha2::Sha256;
use uuid::Uuid;

/// LIMIT: seconds that a ticket is good for.
pub(crate) const TICKET_SECONDS: u64 = 30;
/// LIMIT: seconds that a cookie is good for.
pub(crate) const COOKIE_SECONDS: u64 = 12 * 60 * 60;
/// LIMIT: tickets that are remembered as used. More than that in 30 seconds, and further ones are refused.
const LIMIT_SPENT: usize = 10_000;
/// LIMIT: bytes of a pass.
const LIMIT_PASS: usize = 200;

/// Signs passes.
#[derive(Clone)]
pub struct AccessKey([u8; 32]);

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

/// What a pass opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The host name, without a port, in lower case.
    pub host: &'a str,
    /// The sandbox: a name can be given to another one later.
    pub sandbox: SandboxId,
}

/// What kind of pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassKind {
    /// Good once, in a URL.
    Ticket,
    /// Good until it expires, in a URL.
    Share,
    /// In the cookie that the others are turned into.
    Cookie,
}

impl PassKind {
    const fn letter(self) -> char {
        match self {
            Self::Ticket => 't',
            Self::Share => 's',
            Self::Cookie => 'c',
        }
    }

    fn of(letter: &str) -> Option<Self> {
        [Self::Ticket, Self::Share, Self::Cookie]
            .into_iter()
            .find(|kind| letter.chars().eq([kind.letter()]))
    }
}

/// What is signed, beside the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// What kind.
    pub kind: PassKind,
    /// Until when, in seconds since 1970.
    pub expires: u64,
    /// Makes it unlike every other.
    pub nonce: [u8; 16],
}

/// A signed pass for a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(String);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

impl Ticket {
    pub(crate) const fn new(signed: String) -> Self {
        Self(signed)
    }
}

/// Why a pass opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// It was not signed by us for this preview.
    #[error("not a pass for this preview")]
    Wrong,
    /// Its time is over.
    #[error("the pass has expired")]
    Expired,
    /// It was used before.
    #[error("the ticket was used before")]
    Spent,
}

impl AccessKey {
    /// A key that nobody else has; what it signs is worth nothing after a restart.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self(bytes)
    }

    /// A key of 256 random bits.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Signs `pass` for `subject`.
    #[must_use]
    pub fn sign(&self, subject: Subject<'_>, pass: Pass) -> String {
        let nonce = URL_SAFE_NO_PAD.encode(pass.nonce);
        let mac = URL_SAFE_NO_PAD.encode(self.mac(subject, pass).finalize().into_bytes());
        format!("{}.{}.{nonce}.{mac}", pass.kind.letter(), pass.expires)
    }

    /// Reads a pass that is for `subject` and has not expired.
    ///
    /// # Errors
    /// It is not, or has. An expired pass is told from a wrong one only when it is ours.
    pub fn verify(&self, subject: Subject<'_>, signed: &str, now: u64) -> Result<Pass, PassError> {
        let (pass, mac) = read(signed).ok_or(PassError::Wrong)?;
        // In constant time.
        self.mac(subject, pass).verify_slice(&mac).map_err(|_| PassError::Wrong)?;
        if pass.expires <= now { Err(PassError::Expired) } else { Ok(pass) }
    }

    fn mac(&self, subject: Subject<'_>, pass: Pass) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        // Every field but the last has one length, so no two sets of fields are the same bytes.
        mac.update(b"sandbar preview pass 1\0");
        mac.update(&[u8::try_from(pass.kind.letter()).unwrap_or_default()]);
        mac.update(&pass.expires.to_be_bytes());
        mac.update(&pass.nonce);
        mac.update(subject.sandbox.to_string().as_bytes());
        mac.update(subject.host.as_bytes());
        mac
    }
}

/// One spelling for each pass: numbers without leading zeros, base64 without stray bits.
fn read(signed: &str) -> Option<(Pass, Vec<u8>)> {
    if signed.len() > LIMIT_PASS {
        return None;
    }
    let mut fields = signed.split('.');
    let kind = PassKind::of(fields.next()?)?;
    let expires = fields.next()?;
    let is_number = !expires.starts_with('0') && expires.bytes().all(|b| b.is_ascii_digit());
    let expires = is_number.then(|| expires.parse().ok()).flatten()?;
    let nonce = URL_SAFE_NO_PAD.decode(fields.next()?).ok()?.try_into().ok()?;
    let mac = URL_SAFE_NO_PAD.decode(fields.next()?).ok()?;
    fields.next().is_none().then_some((Pass { kind, expires, nonce }, mac))
}

/// The tickets that were used and have not expired.
#[derive(Debug, Default)]
pub(crate) struct Spent(HashMap<[u8; 16], u64>);

impl Spent {
    /// Uses a ticket up.
    pub(crate) fn spend(&mut self, ticket: Pass, now: u64) -> Result<(), PassError> {
        if self.0.len() >= LIMIT_SPENT {
            self.0.retain(|_, expires| *expires > now);
        }
        if self.0.len() >= LIMIT_SPENT || self.0.contains_key(&ticket.nonce) {
            return Err(PassError::Spent);
        }
        self.0.insert(ticket.nonce, ticket.expires);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key() -> AccessKey {
        AccessKey::new([7; 32])
    }

    fn id() -> SandboxId {
        "sb_00000000000070008000000000000001".parse().unwrap()
    }

    fn any_pass() -> impl Strategy<Value = Pass> {
        let kind =
            prop_oneof![Just(PassKind::Ticket), Just(PassKind::Share), Just(PassKind::Cookie)];
        (kind, NOW + 1..=u64::MAX, any::<[u8; 16]>()).prop_map(|(kind, expires, nonce)| Pass {
            kind,
            expires,
            nonce,
        })
    }

    proptest! {
        #[test]
        fn a_pass_verifies_as_itself_until_it_expires(pass in any_pass(), host in "[a-z0-9.-]{1,60}") {
            let subject = Subject { host: &host, sandbox: id() };
            let signed = key().sign(subject, pass);
            prop_assert_eq!(key().verify(subject, &signed, NOW), Ok(pass));
            prop_assert_eq!(key().verify(subject, &signed, pass.expires - 1), Ok(pass));
            prop_assert_eq!(key().verify(subject, &signed, pass.expires), Err(PassError::Expired));
        }

        #[test]
        fn no_changed_bit_verifies(pass in any_pass(), at: prop::sample::Index, bit in 0_u8..8) {
            let subject = Subject { host: "3000-a.preview.localhost", sandbox: id() };
            let mut bytes = key().sign(subject, pass).into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert_eq!(key().verify(subject, &changed, NOW), Err(PassError::Wrong));
            }
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text: String) {
            let subject = Subject { host: "3000-a.preview.localhost", sandbox: id() };
            prop_assert_eq!(key().verify(subject, &text, NOW), Err(PassError::Wrong));
        }
    }

    #[test]
    fn a_pass_is_for_one_host_one_sandbox_one_key() {
        let subject = Subject { host: "3000-a.preview.localhost", sandbox: id() };
        let pass = Pass { kind: PassKind::Share, expires: NOW + 1, nonce: [0; 16] };
        let signed = key().sign(subject, pass);
        let other_host = Subject { host: "3001-a.preview.localhost", ..subject };
        let other_sandbox = Subject { sandbox: SandboxId::generate(), ..subject };
        for other in [other_host, other_sandbox] {
            assert_eq!(key().verify(other, &signed, NOW), Err(PassError::Wrong));
        }
        assert_eq!(AccessKey::new([8; 32]).verify(subject, &signed, NOW), Err(PassError::Wrong));
        for other in [format!("{signed}."), format!("{signed}="), signed.replacen("s.", "c.", 1)] {
            assert_eq!(key().verify(subject, &other, NOW), Err(PassError::Wrong), "{other}");
        }
    }

    #[test]
    fn a_ticket_is_good_once_and_what_is_remembered_is_bounded() {
        let mut spent = Spent::default();
        let ticket = |n: usize, expires| {
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&n.to_be_bytes());
            Pass { kind: PassKind::Ticket, expires, nonce }
        };
        assert_eq!(spent.spend(ticket(0, NOW + 30), NOW), Ok(()));
        assert_eq!(spent.spend(ticket(0, NOW + 30), NOW), Err(PassError::Spent));
        for n in 1..LIMIT_SPENT {
            assert_eq!(spent.spend(ticket(n, NOW + 30), NOW), Ok(()));
        }
        assert_eq!(spent.spend(ticket(LIMIT_SPENT, NOW + 30), NOW), Err(PassError::Spent));
        assert_eq!(spent.spend(ticket(LIMIT_SPENT, NOW + 60), NOW + 30), Ok(()));
    }
}
