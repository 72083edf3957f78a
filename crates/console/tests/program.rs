//! The console's scripts against a Director that is a transcript: what is sent, what is printed, how it ends.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::JoinHandle;

use net::{Session, Tls, blocking};
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::{HelloLine, Listener};

/// A Director that answers each line it knows; it returns the lines that it got.
struct Director {
    port: u16,
    serving: JoinHandle<Vec<String>>,
}

fn director(answers: &'static [(&'static str, &'static str, Signal)]) -> Director {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let hello = first_line(&socket);
        let session = Session::new("t-dir", Secret::from_password("conpw"), Tls::psk());
        let Ok(mut conn) = blocking::accept(socket, hello, &session) else { return Vec::new() };
        let mut got = Vec::new();
        while let Ok(Packet::Data(line)) = conn.reader.recv() {
            let line = String::from_utf8(line.to_vec()).unwrap();
            got.push(line.clone());
            if line == "quit" {
                break;
            }
            let (_, text, end) = answers.iter().find(|(command, ..)| *command == line).unwrap();
            // Every character is a packet of its own, as in Bacula's tables.
            for byte in text.as_bytes() {
                conn.writer.data(&[*byte]).unwrap();
            }
            conn.writer.signal(*end).unwrap();
            conn.writer.flush().unwrap();
        }
        got
    });
    Director { port, serving }
}

fn first_line(mut socket: &std::net::TcpStream) -> HelloLine {
    use std::io::Read;
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let mut line = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut line).unwrap();
    HelloLine::parse(&line, Listener::Director).unwrap()
}

fn config(dir: &tempfile::TempDir, port: u16, password: &str, rc: &str) -> console::Args {
    let file = dir.path().join("bconsole.conf");
    let rc_file = dir.path().join("rc");
    std::fs::write(&rc_file, rc).unwrap();
    let text = format!(
        "Director {{\n Name = t-dir\n Address = 127.0.0.1\n DirPort = {port}\n Password = unused\n}}\n\
         Console {{\n Name = op\n Password = {password}\n RCFile = {}\n}}\n",
        rc_file.display()
    );
    std::fs::write(&file, text).unwrap();
    args(file)
}

fn args(config: PathBuf) -> console::Args {
    console::Args {
        config,
        director: None,
        console: None,
        list_directors: false,
        list_consoles: false,
        no_editing: true,
        no_signals: false,
        timeout: Some(30),
        test: false,
        debug: None,
    }
}

#[test]
fn a_script_is_sent_line_by_line_and_its_output_kept() {
    let dir = tempfile::tempdir().unwrap();
    let director = director(&[
        ("run job=Save", "Run Backup job\nOK to run? (yes/mod/no): ", Signal::SubPrompt),
        ("yes", "Job queued. JobId=1\n", Signal::Eod),
    ]);
    let out = dir.path().join("out");
    let inner = dir.path().join("inner");
    std::fs::write(&inner, "run job=Save\nyes\n").unwrap();
    let rc = format!(
        "@output {}\n@echo begin\n@input {}\n@output\n@# remark\nquit\n",
        out.display(),
        inner.display()
    );
    let code = console::run(&config(&dir, director.port, "conpw", &rc)).unwrap();
    assert_eq!(code, ExitCode::SUCCESS);
    assert_eq!(director.serving.join().unwrap(), ["run job=Save", "yes", "quit"]);
    let printed = std::fs::read_to_string(out).unwrap();
    let want = "begin\nrun job=Save\nRun Backup job\nOK to run? (yes/mod/no): yes\nJob queued. JobId=1\n";
    assert_eq!(printed, want);
}

#[test]
fn a_failed_local_command_of_a_script_shows_in_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let director = director(&[]);
    let rc = "@input /nonexistent/script\n@quit\n";
    let code = console::run(&config(&dir, director.port, "conpw", rc)).unwrap();
    assert_eq!(code, ExitCode::FAILURE);
    assert!(director.serving.join().unwrap().is_empty());
}

#[test]
fn a_lost_director_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let director = director(&[("status", "x\n", Signal::Terminate)]);
    let error = console::run(&config(&dir, director.port, "conpw", "status\n")).unwrap_err();
    assert_eq!(error.to_string(), "the Director closed the connection");
    director.serving.join().unwrap();
}

#[test]
fn a_wrong_password_names_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let director = director(&[]);
    let error = console::run(&config(&dir, director.port, "other", "")).unwrap_err();
    assert!(format!("{error:#}").contains("compare Password"), "{error:#}");
    director.serving.join().unwrap();
}
