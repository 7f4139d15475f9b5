//! Certificates as Java programs read them: a store of the kind JKS, which every Java since the first one opens.
//!
//! Not PKCS 12, whose certificates are encrypted as a rule: such a store is empty to a Java that opens it without a
//! password, as Java does with the one of the system. JKS is readable with a password and without, and it is what systems
//! write that keep a store for all of Java.
//!
//! ```text
//! feedfeed 00000002 count   then for each: 00000002 alias date "X.509" length certificate   then SHA-1
//! ```

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
/// An entry that is a certificate, and no key.
const TRUSTED: u32 = 2;
/// The password of every store that a system keeps: it protects nothing, it tells a damaged file.
const PASSWORD: &str = "changeit";
/// What is hashed between the password and the store.
const SALT: &[u8] = b"Mighty Aphrodite";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Returns the store with every certificate of `pem`. What is no certificate by its first bytes is left out: Java would
/// refuse the whole store for it.
pub(super) fn truststore(pem: &str) -> Vec<u8> {
    let mut entries = Vec::with_capacity(pem.len());
    let mut count: u32 = 0;
    for certificate in certificates(pem) {
        let length = u32::try_from(certificate.len()).expect("a text of certificates is small");
        entries.extend(TRUSTED.to_be_bytes());
        put_text(&mut entries, &format!("sandbar-{count}"));
        // When it was taken in, which nobody asks for; so the same certificates are the same store.
        entries.extend(0_u64.to_be_bytes());
        put_text(&mut entries, "X.509");
        entries.extend(length.to_be_bytes());
        entries.extend(certificate);
        count += 1;
    }
    let mut store = Vec::with_capacity(entries.len() + 32);
    for word in [MAGIC, VERSION, count] {
        store.extend(word.to_be_bytes());
    }
    store.append(&mut entries);
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let digest = Sha1::new().chain_update(password).chain_update(SALT).chain_update(&store);
    store.extend(digest.finalize());
    store
}

fn put_text(into: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("names of ours are short");
    into.extend(length.to_be_bytes());
    into.extend(text.as_bytes());
}

fn certificates(pem: &str) -> impl Iterator<Item = Vec<u8>> {
    pem.split(BEGIN).skip(1).filter_map(|rest| {
        let (body, _) = rest.split_once(END)?;
        let mut text = Vec::with_capacity(body.len());
        for line in body.lines() {
            text.extend(line.trim().as_bytes());
        }
        BASE64_STANDARD.decode(text).ok().filter(|bytes| is_sequence(bytes))
    })
}

/// Whether `der` is one sequence of ASN.1 and nothing behind it.
fn is_sequence(der: &[u8]) -> bool {
    let (Some(0x30), Some(first)) = (der.first(), der.get(1)) else { return false };
    let (count, length) = match first {
        0..=0x7f => (0, usize::from(*first)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let Some(bytes) = der.get(2..2 + count) else { return false };
            (count, bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        }
        // No length, or one of more than four bytes.
        _ => return false,
    };
    der.len().checked_sub(2 + count) == Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("{BEGIN}\n{}\n{END}\n", BASE64_STANDARD.encode(der))
    }

    #[test]
    fn a_store_is_as_java_writes_it() {
        let store = truststore(&pem(&[0x30, 1, 7]));
        let (content, digest) = store.split_at(store.len() - 20);
        let expected = [
            &b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\x09sandbar-0"[..],
            &[0; 8],
            b"\0\x05X.509\0\0\0\x03\x30\x01\x07",
        ];
        assert_eq!(content, expected.concat());
        let hashed = [b"\0c\0h\0a\0n\0g\0e\0i\0t", &b"Mighty Aphrodite"[..], content].concat();
        assert_eq!(digest, &Sha1::digest(hashed)[..]);
    }

    #[test]
    fn what_java_would_refuse_the_whole_store_for_is_left_out() {
        let long = [&[0x30, 0x82, 1, 0][..], &[0; 256]].concat();
        let torn = format!("{BEGIN}\nMAE");
        for (text, count) in [
            (String::new(), 0),
            (pem(&long) + &pem(&[0x30, 0]), 2),
            (pem(b"") + &pem(b"\x30") + &pem(b"\x30\x80\0\0") + &pem(b"\x04\x01\x07"), 0),
            (pem(&long[..259]) + &pem(&[&long[..], &[0]].concat()) + &pem(&[0x30, 0]), 1),
            (format!("{BEGIN}\n%\n{END}\n# a comment\n") + &pem(&[0x30, 0]) + &torn, 1),
        ] {
            assert_eq!(truststore(&text)[8..12], u32::to_be_bytes(count), "{text}");
        }
    }
}
