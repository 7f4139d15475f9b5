use proptest::{collection::vec, prelude::*};
use sandbar_types::ExitStatus;

use super::*;

const END: ExecEnd =
    ExecEnd { status: ExitStatus::Exited { code: 7 }, oom_killed: false, dropped_bytes: 3 };

fn decode_all(decoder: &mut LogDecoder) -> Result<Vec<Record>, LogError> {
    std::iter::from_fn(|| decoder.next_record().transpose()).collect()
}

proptest! {
    #[test]
    fn records_survive_any_cut(
        outputs in vec((any::<bool>(), any::<u64>(), vec(any::<u8>(), 1..300)), 0..10),
        step in 1_usize..50,
    ) {
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for (is_error, time_us, bytes) in outputs {
            let output = if is_error { Output::Stderr } else { Output::Stdout };
            wire.extend(encode_output(output, time_us, &bytes));
            let next_offset = HEADER_BYTES + wire.len() as u64;
            expected.push(Record { next_offset, time_us, body: Body::Output { output, bytes } });
        }
        wire.extend(encode_end(&END, 9));
        let next_offset = HEADER_BYTES + wire.len() as u64;
        expected.push(Record { next_offset, time_us: 9, body: Body::End(END) });

        let mut decoder = LogDecoder::new(HEADER_BYTES);
        let mut seen = Vec::new();
        for piece in wire.chunks(step) {
            decoder.push(piece);
            seen.extend(decode_all(&mut decoder).unwrap());
        }
        prop_assert_eq!(seen, expected);
        prop_assert!(decoder.has_ended());
        prop_assert_eq!(decoder.offset(), next_offset);
    }

    #[test]
    fn garbage_never_panics(pieces in vec(vec(any::<u8>(), 0..64), 0..16), offset: u64) {
        let mut decoder = LogDecoder::new(offset);
        for piece in &pieces {
            decoder.push(piece);
            if decode_all(&mut decoder).is_err() {
                prop_assert!(decoder.next_record().is_err(), "an error is final");
            }
        }
    }

    #[test]
    fn headers_read_back(start in HEADER_BYTES.., dropped_bytes: u64) {
        let header = Header { start, dropped_bytes };
        prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
    }
}

#[test]
fn a_hole_is_not_a_record() {
    let mut decoder = LogDecoder::new(HEADER_BYTES);
    decoder.push(&[0; 64]);
    assert_eq!(decoder.next_record(), Err(LogError::Record { offset: HEADER_BYTES }));
    assert_eq!(Header::decode(&[0; 64]), Err(LogError::Header));
}

#[test]
fn nothing_follows_the_end() {
    let mut decoder = LogDecoder::new(HEADER_BYTES);
    decoder.push(&encode_end(&END, 0));
    assert!(matches!(decoder.next_record(), Ok(Some(Record { body: Body::End(END), .. }))));
    assert_eq!(decoder.next_record(), Ok(None));
    decoder.push(&[1]);
    assert_eq!(decoder.next_record(), Err(LogError::AfterEnd));
}

#[test]
fn a_gap_moves_the_offset_forward_and_never_back() {
    let mut decoder = LogDecoder::new(HEADER_BYTES);
    decoder.push(&encode_gap(10_000, 0));
    decoder.push(&encode_gap(10_000, 0));
    assert!(matches!(
        decoder.next_record(),
        Ok(Some(Record { next_offset: 10_000, body: Body::Gap, .. }))
    ));
    assert_eq!(decoder.next_record(), Err(LogError::Record { offset: 10_000 }));
}

#[test]
fn a_note_reads_back_and_a_long_one_is_cut_between_characters() {
    let long = "ü".repeat(PAYLOAD_BYTES_MAX);
    for text in ["exited with code 1", &long] {
        let mut decoder = LogDecoder::new(HEADER_BYTES);
        decoder.push(&encode_note(text, 7));
        let record = decoder.next_record().unwrap().unwrap();
        let Body::Note(read) = record.body else { panic!("{record:?}") };
        assert_eq!(read, text[..text.len().min(PAYLOAD_BYTES_MAX)]);
        assert!(!decoder.has_ended());
    }
    let mut bytes = encode_note("xy", 0);
    *bytes.last_mut().unwrap() = 0xff;
    let mut decoder = LogDecoder::new(HEADER_BYTES);
    decoder.push(&bytes);
    assert!(decoder.next_record().is_err(), "text is text");
}
