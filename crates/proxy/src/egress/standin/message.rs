//! Questions and answers of DNS, as bytes.

use std::{borrow::Cow, net::Ipv4Addr};

use simple_dns::{
    CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE, header_buffer,
    rdata::{A, OPT, OPTCode, RData},
};

use crate::egress::policy::HostName;

/// How long an answer may be kept: a rule that is added holds soon, and a listener that is gone is asked for again.
const TTL_SECONDS: u32 = 30;

/// The option that says more than the code of a refusal (RFC 8914), and the number for "by policy".
const EXTENDED_ERROR: u16 = 15;
const PROHIBITED: [u8; 2] = 18_u16.to_be_bytes();

/// What we say that we can take, where somebody asks with extensions.
const UDP_BYTES: u16 = 1232;

/// A question that is understood.
#[derive(Debug)]
pub(super) struct Question<'a> {
    packet: Packet<'a>,
    /// The name, where it is one that a host can have.
    pub(super) name: Option<HostName>,
    is_for_address: bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is there, at this address if it is one of version 4 that is asked for, and has nothing else.
    At(Ipv4Addr),
    /// It may not be asked for; the text says how to change that.
    Refused(String),
    /// Not now.
    Failed,
}

impl<'a> Question<'a> {
    /// Reads a question; `None` where it is none, or of a type that nobody knows.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        // Counted before anything is made room for.
        let counts = [
            header_buffer::questions(bytes).ok()?,
            header_buffer::answers(bytes).ok()?,
            header_buffer::name_servers(bytes).ok()?,
        ];
        let more = header_buffer::additional_records(bytes).ok()?;
        if counts != [1, 0, 0] || more > 2 {
            return None;
        }
        let packet = Packet::parse(bytes).ok()?;
        let question = packet.questions.first()?;
        if packet.has_flags(PacketFlag::RESPONSE) || packet.opcode() != OPCODE::StandardQuery {
            return None;
        }
        // A dot within a label would make two names of one.
        let labels: Option<Vec<&str>> = question
            .qname
            .as_bytes()
            .map(|label| std::str::from_utf8(label).ok().filter(|label| !label.contains('.')))
            .collect();
        let name = labels.and_then(|labels| labels.join(".").parse().ok());
        let is_of_internet = matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
        let is_for_address =
            is_of_internet && matches!(question.qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY);
        Some(Self { name, is_for_address, packet })
    }

    /// Returns what is answered to bytes that [`Question::read`] does not read: that they are not understood.
    pub(super) fn unread(bytes: &[u8]) -> Option<Vec<u8>> {
        // An answer is never answered: two of us would go on for ever.
        if header_buffer::has_flags(bytes, PacketFlag::RESPONSE).ok()? {
            return None;
        }
        let mut reply = Packet::new_reply(header_buffer::id(bytes).ok()?);
        *reply.rcode_mut() = RCODE::FormatError;
        reply.build_bytes_vec().ok()
    }

    /// Returns the answer's bytes.
    pub(super) fn answered(self, answer: Answer) -> Option<Vec<u8>> {
        let Self { packet, is_for_address, .. } = self;
        let is_desired = packet.has_flags(PacketFlag::RECURSION_DESIRED);
        let is_extended = packet.opt().is_some();
        let mut reply = Packet::new_reply(packet.id());
        reply.questions = packet.questions;
        reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
        if is_desired {
            reply.set_flags(PacketFlag::RECURSION_DESIRED);
        }
        let mut opt_codes = Vec::new();
        match answer {
            Answer::At(address) => {
                if is_for_address {
                    let name = reply.questions.first()?.qname.clone();
                    let data = RData::A(A { address: address.to_bits() });
                    reply.answers.push(ResourceRecord::new(name, CLASS::IN, TTL_SECONDS, data));
                }
            }
            Answer::Refused(text) => {
                *reply.rcode_mut() = RCODE::Refused;
                let data = Cow::Owned([&PROHIBITED, text.as_bytes()].concat());
                opt_codes.push(OPTCode { code: EXTENDED_ERROR, data });
            }
            Answer::Failed => *reply.rcode_mut() = RCODE::ServerFailure,
        }
        if is_extended {
            *reply.opt_mut() = Some(OPT { opt_codes, udp_packet_size: UDP_BYTES, version: 0 });
        }
        reply.build_bytes_vec_compressed().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::Name;

    use super::*;

    fn question(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(7);
        let name = Name::new_unchecked(name);
        packet.questions.push(simple_dns::Question::new(
            name,
            QTYPE::TYPE(kind),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: 4096, version: 0 });
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn a_name_is_at_its_address_and_has_nothing_else() {
        let address = Ipv4Addr::new(127, 64, 0, 1);
        for kind in [TYPE::A, TYPE::AAAA, TYPE::TXT, TYPE::MX, TYPE::HTTPS] {
            let asked = question("OK.example", kind);
            let asked = Question::read(&asked).unwrap();
            assert_eq!(asked.name.as_ref().unwrap().as_str(), "ok.example");
            let answered = asked.answered(Answer::At(address)).unwrap();
            let reply = Packet::parse(&answered).unwrap();
            assert_eq!((reply.id(), reply.rcode()), (7, RCODE::NoError));
            let found: Vec<_> = reply.answers.iter().map(|record| record.rdata.clone()).collect();
            let there = if kind == TYPE::A {
                vec![RData::A(A { address: address.to_bits() })]
            } else {
                vec![]
            };
            assert_eq!(found, there, "{kind:?}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_change_it() {
        let asked = question("evil.example", TYPE::A);
        let answered =
            Question::read(&asked).unwrap().answered(Answer::Refused("ask so".to_owned())).unwrap();
        let reply = Packet::parse(&answered).unwrap();
        assert_eq!(reply.rcode(), RCODE::Refused);
        let codes = &reply.opt().unwrap().opt_codes;
        assert_eq!((codes[0].code, &codes[0].data[..]), (15, &b"\x00\x12ask so"[..]));
    }

    #[test]
    fn what_no_host_can_be_called_is_no_name() {
        for name in ["_dmarc.ok.example", "ok.example%00", "a@ok.example", "10"] {
            assert_eq!(Question::read(&question(name, TYPE::A)).unwrap().name, None, "{name}");
        }
        // One label with a dot in it, by its bytes.
        let mut bytes = question("ok.example", TYPE::A);
        let dot = bytes.iter().position(|byte| *byte == b'k').unwrap();
        bytes[dot] = b'.';
        assert_eq!(Question::read(&bytes).unwrap().name, None);
    }

    #[test]
    fn what_is_not_understood_is_told_so_and_an_answer_is_not_answered() {
        let mut bytes = question("ok.example", TYPE::Unknown(4711));
        assert!(Question::read(&bytes).is_none());
        let reply = Question::unread(&bytes).unwrap();
        assert_eq!(Packet::parse(&reply).unwrap().rcode(), RCODE::FormatError);
        bytes[2] |= 0x80;
        assert_eq!(Question::unread(&bytes), None);
        assert_eq!(Question::unread(b"short"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            // Whatever comes of it, it ends.
            drop(Question::read(&bytes).and_then(|asked| asked.answered(Answer::Failed)));
        }

        #[test]
        fn no_damage_is_too_odd(at in 0_usize..40, byte: u8) {
            let mut bytes = question("ok.example", TYPE::A);
            let at = at % bytes.len();
            bytes[at] = byte;
            drop(Question::read(&bytes).and_then(|asked| asked.answered(Answer::Failed)));
        }
    }
}
