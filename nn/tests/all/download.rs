//! Downloads from a server of the test's own that cuts off, lies about lengths and sends wrong bytes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use nn::data::download::Remote;
use sha2::{Digest, Sha256};

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Answer {
    /// All that is asked for.
    All,
    /// This many bytes of it, then the connection closes.
    Cut(usize),
    /// The whole file, whatever part is asked for.
    IgnoreRange,
    /// This many more bytes than announced by the published length.
    Longer(usize),
    /// This much less, and it says so.
    Shorter(usize),
    /// Other bytes, as many.
    Wrong,
    /// This status and no file.
    Status(u16),
}

fn file() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()
}

/// Serves these answers in turn, then no more; the ranges asked for.
fn server(answers: &'static [Answer]) -> (Remote, Arc<Mutex<Vec<Option<usize>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/folder/file.bin", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let ranges = Arc::clone(&asked);
    thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let range = range(&stream);
            ranges.lock().unwrap().push(range);
            // A client that has enough may close first.
            let _ = serve(stream, *answer, range);
        }
    });
    let hash: String = Sha256::digest(file()).iter().map(|byte| format!("{byte:02x}")).collect();
    (Remote { url: url.into(), bytes: file().len() as u64, sha256: hash.into() }, asked)
}

/// Reads a request: where the range it asks for begins.
fn range(stream: &TcpStream) -> Option<usize> {
    let lines = BufReader::new(stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(|line| line.to_ascii_lowercase()).collect();
    let range = lines.iter().find_map(|line| line.strip_prefix("range: bytes="))?;
    range.strip_suffix('-')?.parse().ok()
}

fn serve(mut stream: TcpStream, answer: Answer, range: Option<usize>) -> std::io::Result<()> {
    let whole = file();
    let start = if matches!(answer, Answer::IgnoreRange) { None } else { range };
    let mut body = whole[start.unwrap_or(0)..].to_vec();
    match answer {
        Answer::Longer(more) => body.extend(vec![1; more]),
        Answer::Shorter(less) => body.truncate(body.len() - less),
        Answer::Wrong => body.iter_mut().for_each(|byte| *byte ^= 1),
        Answer::All | Answer::Cut(_) | Answer::IgnoreRange => {}
        Answer::Status(status) => {
            return write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    }
    let end = start.unwrap_or(0) + body.len() - 1;
    let status = match start {
        Some(start) => format!("206 Partial Content\r\nContent-Range: bytes {start}-{end}/{}", whole.len()),
        None => "200 OK".into(),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    let sent = if let Answer::Cut(len) = answer { len } else { body.len() };
    stream.write_all(&body[..sent])
}

#[test]
fn a_file_is_fetched_once_and_progress_reaches_its_length() {
    let (remote, asked) = server(&[Answer::All]);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("made/for/it");
    let mut last = 0;
    let path = remote.fetch(&to, |done| last = done).unwrap();
    assert_eq!((path.clone(), last), (to.join("file.bin"), remote.bytes));
    assert!(fs::read(&path).unwrap() == file());
    assert_eq!(remote.fetch(&to, |_| panic!("nothing is fetched")).unwrap(), path);
    assert_eq!(*asked.lock().unwrap(), [None]);
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
}

#[test]
fn what_broke_off_goes_on_where_it_was() {
    let (remote, asked) = server(&[Answer::Cut(50_000), Answer::Cut(1000), Answer::All]);
    let folder = tempfile::tempdir().unwrap();
    let path = remote.fetch(folder.path(), |_| ()).unwrap();
    assert!(fs::read(path).unwrap() == file());
    assert_eq!(*asked.lock().unwrap(), [None, Some(50_000), Some(51_000)]);
}

#[test]
fn a_later_call_goes_on_too_and_a_server_without_ranges_begins_anew() {
    let (remote, asked) = server(&[Answer::Status(500), Answer::IgnoreRange]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.bin.part"), &file()[..70_000]).unwrap();
    let path = remote.fetch(folder.path(), |_| ()).unwrap();
    assert!(fs::read(path).unwrap() == file());
    assert_eq!(*asked.lock().unwrap(), [Some(70_000), Some(70_000)]);
}

#[test]
fn what_is_left_of_another_file_is_dropped() {
    let (remote, asked) = server(&[Answer::All, Answer::All]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.bin.part"), "<html>").unwrap();
    let path = remote.fetch(folder.path(), |_| ()).unwrap();
    assert!(fs::read(path).unwrap() == file());
    assert_eq!(*asked.lock().unwrap(), [Some(6), None]);
}

/// The message of a fetch that fails, which leaves these files behind.
fn failure(answers: &'static [Answer], left: &[&str]) -> String {
    let (remote, _) = server(answers);
    let folder = tempfile::tempdir().unwrap();
    let message = remote.fetch(folder.path(), |_| ()).unwrap_err().to_string();
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), left, "{message}");
    assert!(message.starts_with(&*remote.url), "{message}");
    message
}

#[test]
fn wrong_bytes_are_not_kept() {
    let message = failure(&[Answer::Wrong], &[]);
    assert!(message.contains(": expected SHA-256 ") && message.contains(", found "), "{message}");
}

#[test]
fn wrong_lengths_are_found_out() {
    let message = failure(&[Answer::Longer(5)], &["file.bin.part"]);
    assert!(message.ends_with("expected 200000 bytes, found more"), "{message}");
    let answers = &[Answer::Shorter(10), Answer::Shorter(10), Answer::Cut(0), Answer::Status(416)];
    let message = failure(answers, &["file.bin.part"]);
    assert!(message.contains("expected 200000 bytes, found 199990: "), "{message}");
}

#[test]
fn a_server_that_never_answers_well_is_given_up() {
    let message =
        failure(&[Answer::Status(404), Answer::Status(404), Answer::Status(404)], &["file.bin.part"]);
    assert!(message.contains("expected 200000 bytes, found 0: ") && message.contains("404"), "{message}");
}

#[test]
fn another_file_in_its_place_is_left_alone() {
    let (remote, _) = server(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.bin"), "mine").unwrap();
    let message = remote.fetch(folder.path(), |_| ()).unwrap_err().to_string();
    assert!(message.contains("file.bin: expected SHA-256 "), "{message}");
    assert_eq!(fs::read_to_string(folder.path().join("file.bin")).unwrap(), "mine");
}
