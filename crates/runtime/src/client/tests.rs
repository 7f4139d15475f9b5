use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt};

use sandbar_protocol::{
    Opened,
    log::{HEADER_BYTES, Header, START_OFFSET, encode_end, encode_gap, encode_output},
};
use sandbar_types::{ExecEnd, ExitStatus};
use tokio::net::UnixListener;

use super::*;

const END: ExecEnd =
    ExecEnd { status: ExitStatus::Exited { code: 3 }, oom_killed: false, dropped_bytes: 0 };

fn spec() -> ExecSpec {
    ExecSpec {
        argv: vec!["true".to_owned()],
        env: BTreeMap::new(),
        cwd: None,
        terminal: None,
        stdin: false,
        timeout_ms: None,
    }
}

fn log() -> File {
    tempfile::tempfile().unwrap()
}

/// A directory whose name is longer than a socket's path may be, with a listener in it.
pub(super) fn sandbox() -> (tempfile::TempDir, SandboxDir, UnixListener) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("d".repeat(120));
    std::fs::create_dir_all(dir.join("run")).unwrap();
    let short = temp.path().join("s");
    let listener = UnixListener::bind(&short).unwrap();
    std::fs::rename(short, dir.join("run/supervisor.sock")).unwrap();
    (temp, SandboxDir(dir), listener)
}

/// Takes one connection, reads the request, and says `answer`.
pub(super) async fn answer_once(listener: &UnixListener, answer: &[u8]) -> Open {
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut frames = FrameDecoder::default();
    let mut piece = [0; 4096];
    let open = loop {
        if let Some(payload) = frames.next_frame().unwrap() {
            break Open::from_payload(payload).unwrap();
        }
        let read = peer.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "a whole request");
        frames.push(&piece[..read]);
    };
    peer.write_all(answer).await.unwrap();
    open
}

fn streaming(records: &[Vec<u8>]) -> Vec<u8> {
    let opened = Opened::Streaming { offset: HEADER_BYTES };
    let mut answer = opened.to_frame().unwrap();
    answer.extend(records.concat());
    answer
}

async fn exec_against(answer: &[u8]) -> io::Result<ExecStream> {
    let (_temp, dir, listener) = sandbox();
    let client = SupervisorClient::connect(&dir).unwrap();
    let (id, spec) = (ExecId::generate(), spec());
    let (stream, open) =
        tokio::join!(client.exec(id, &spec, log().into()), answer_once(&listener, answer));
    assert_eq!(open, Open::Exec { id, spec });
    stream
}

#[tokio::test]
async fn records_come_in_order_with_the_offset_to_come_back_to() {
    let hello = encode_output(Output::Stderr, 5, b"hello");
    let answer = streaming(&[hello.clone(), encode_gap(9000, 6), encode_end(&END, 7)]);
    let mut stream = exec_against(&answer).await.unwrap();
    assert_eq!(stream.offset(), HEADER_BYTES);
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.next_offset, HEADER_BYTES + hello.len() as u64);
    assert_eq!(stream.offset(), first.next_offset);
    assert_eq!(stream.next().await.unwrap().unwrap().body, Body::Gap);
    assert_eq!(stream.offset(), 9000);
    assert_eq!(stream.next().await.unwrap().unwrap().body, Body::End(END));
    assert_eq!(stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_hang_up_before_the_end_is_an_error_and_not_an_end() {
    let answer = streaming(&[encode_output(Output::Stdout, 5, b"hello")]);
    let mut stream = exec_against(&answer).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    let err = stream.next().await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn refusals_have_telling_kinds() {
    let cases = [
        (Refusal::LimitReached { limit: 3 }, io::ErrorKind::QuotaExceeded),
        (Refusal::Stopping, io::ErrorKind::NotConnected),
        (Refusal::NotFound, io::ErrorKind::NotFound),
        (Refusal::Exists, io::ErrorKind::AlreadyExists),
        (Refusal::Cwd { errno: 2 }, io::ErrorKind::InvalidInput),
    ];
    for (why, kind) in cases {
        let opened = Opened::Refused { refusal: why.clone() };
        let err = exec_against(&opened.to_frame().unwrap()).await.unwrap_err();
        assert_eq!(err.kind(), kind);
        assert_eq!(refusal(&err), Some(&why));
    }
}

#[tokio::test]
async fn a_supervisor_that_lies_is_an_error_and_costs_nothing() {
    let too_long = u32::MAX.to_le_bytes();
    for answer in [&[1, 0, 0, 0, b'x'][..], &too_long, &[0, 0, 0, 0]] {
        let err = exec_against(answer).await.unwrap_err();
        assert_eq!(err.kind(), io::ErrorKind::InvalidData, "{answer:?}");
    }
    let mut stream = exec_against(&streaming(&[vec![9; 40]])).await.unwrap();
    let err = stream.next().await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::InvalidData);
    assert!(exec_against(&[]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_says_nothing_is_given_up_on() {
    let (_temp, dir, _listener) = sandbox();
    let client = SupervisorClient::connect(&dir).unwrap();
    let err = client.control(Control::Ping).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn nobody_there_is_not_connected() {
    let temp = tempfile::tempdir().unwrap();
    let dir = SandboxDir(temp.path().to_owned());
    let err = SupervisorClient::connect(&dir).unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::NotConnected);
    std::fs::create_dir(temp.path().join("run")).unwrap();
    let client = SupervisorClient::connect(&dir).unwrap();
    let err = client.attach(ExecId::generate(), 0).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::NotConnected);
    // A socket that nobody listens on any more.
    drop(UnixListener::bind(temp.path().join("run/supervisor.sock")).unwrap());
    let err = client.control(Control::List).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::NotConnected);
}

#[tokio::test]
async fn long_input_is_cut_into_frames_that_are_allowed() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&streaming(&[])).await.unwrap();
    let (_reader, mut writer) = ExecStream::opened(ours).await.unwrap().into_split();
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let send = async {
        writer.send(Input::Stdin(bytes.clone())).await.unwrap();
        writer.send(Input::StdinEnd).await.unwrap();
    };
    let receive = async {
        let mut frames = FrameDecoder::default();
        let mut piece = vec![0; 5000];
        let mut seen = Vec::new();
        loop {
            while let Some(payload) = frames.next_frame().unwrap() {
                match Input::from_payload(payload).unwrap() {
                    Input::Stdin(bytes) => seen.extend(bytes),
                    Input::StdinEnd => return seen,
                    other @ (Input::Resize(_) | Input::Signal(_)) => panic!("{other:?}"),
                }
            }
            let read = theirs.read(&mut piece).await.unwrap();
            frames.push(&piece[..read]);
        }
    };
    let ((), seen) = tokio::join!(send, receive);
    assert!(seen == bytes, "{} of {} bytes", seen.len(), bytes.len());
}

/// A log with these records, and the offset of each, the end last.
fn written(records: &[Vec<u8>]) -> (File, Vec<u64>) {
    let file = log();
    file.write_all_at(&Header::NEW.encode(), 0).unwrap();
    let mut offsets = vec![HEADER_BYTES];
    for record in records {
        let at = offsets[offsets.len() - 1];
        file.write_all_at(record, at).unwrap();
        offsets.push(at + record.len() as u64);
    }
    (file, offsets)
}

fn many(count: u64) -> Vec<Vec<u8>> {
    let record = |n: u64| encode_output(Output::Stdout, n, format!("record {n}").as_bytes());
    (0..count).map(record).collect()
}

#[test]
fn a_log_is_read_from_any_offset_at_the_next_record() {
    let (file, offsets) = written(&many(2000));
    let last = offsets[offsets.len() - 1];
    for offset in (0..last + 30).step_by(61) {
        let mut reader = LogReader::open(file.try_clone().unwrap(), offset).unwrap();
        let expected = offsets.iter().position(|&at| at >= offset).unwrap_or(offsets.len() - 1);
        assert_eq!(reader.offset(), offsets[expected], "{offset}");
        let next = reader.next_record().unwrap().map(|record| record.time_us);
        assert_eq!(next, (expected < 2000).then_some(expected as u64));
    }
}

#[test]
fn a_log_tells_its_end_or_that_there_is_none() {
    let mut records = many(500);
    let (file, _) = written(&records);
    assert_eq!(LogReader::find_end(file).unwrap(), None);
    records.push(encode_end(&END, 9));
    let (file, _) = written(&records);
    assert_eq!(LogReader::find_end(file.try_clone().unwrap()).unwrap(), Some(END));
    // Half of a record, as after a power cut.
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    assert_eq!(LogReader::find_end(file).unwrap(), None);
}

#[test]
fn a_reader_whose_records_go_away_is_told_and_goes_on() {
    let (file, offsets) = written(&many(10));
    let mut reader = LogReader::open(file.try_clone().unwrap(), 0).unwrap();
    file.write_all_at(&vec![0; usize::try_from(offsets[7] - offsets[0]).unwrap()], offsets[0])
        .unwrap();
    let header = Header { start: offsets[7], dropped_bytes: 70 };
    file.write_all_at(&header.encode_start(), START_OFFSET).unwrap();
    let gap = reader.next_record().unwrap().unwrap();
    assert_eq!((gap.body, gap.next_offset), (Body::Gap, offsets[7]));
    assert_eq!(reader.next_record().unwrap().unwrap().time_us, 7);
    assert_eq!(reader.header(), header);
}

#[test]
fn what_is_no_log_is_refused() {
    assert_eq!(LogReader::open(log(), 0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    let file = log();
    file.write_all_at(&[7; 8192], 0).unwrap();
    assert_eq!(LogReader::open(file, 0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    let (file, _) = written(&[vec![7; 100]]);
    assert_eq!(
        LogReader::open(file, 0).unwrap().next_record().unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
}
