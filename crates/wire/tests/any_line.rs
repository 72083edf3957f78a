//! Lines put together from the protocol's own words and from noise: nothing panics, and what parses formats to something
//! that parses to the same.

use proptest::prelude::*;
use wire::msg::{dir_fd, dir_sd, fd_sd, holdfast};

const WORDS: &[&str] = &[
    "JobId=",
    "Job=x",
    "JobId=3",
    "job=",
    "Hello ",
    "Hello SD: Bacula Director ",
    "calling ",
    "fdcallsdir",
    "tlspsk=100",
    "Start Job ",
    "Jmsg ",
    "type=6",
    "level=",
    "level = ",
    "since_utime ",
    "accurate_full",
    "CatReq ",
    "FindMedia=1",
    "UpdateMedia ",
    "CreateJobMedia\n",
    "UpdCat ",
    " FileAttributes ",
    "Jrn ",
    "Ans ",
    "Ack 5",
    "director epoch=1",
    "attach ",
    "restore ",
    "replace=a",
    "where=/a",
    "use storage=",
    "use device=",
    "label ",
    "relabel ",
    "VolumeName=",
    "3000 OK label. ",
    "3099 Job ",
    "end ",
    "JobStatus=84",
    "2800 End Job ",
    "TermCode=",
    "auth cram-md5 ",
    "ssl=1",
    "rechdr ",
    "1 2 3",
    "append data ",
    "read open session = ",
    "\n",
    "\0",
    " ",
    "=",
    "\u{1}",
    "-1",
    "99999999999999999999",
    "é",
    ".status ",
];

fn line() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => prop::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_line_panics(line in line()) {
        wire::fuzz::fuzz_hello(&line);
        wire::fuzz::fuzz_messages(&line);
        wire::fuzz::fuzz_packets(&line);
    }

    #[test]
    fn what_parses_is_stable(line in line()) {
        if let Ok(command) = dir_fd::Command::parse(&line) {
            let formatted = command.format();
            prop_assert_eq!(dir_fd::Command::parse(&formatted).map(|again| again.format()), Ok(formatted));
        }
        if let Ok(command) = dir_sd::Command::parse(&line) {
            let formatted = command.format();
            prop_assert_eq!(dir_sd::Command::parse(&formatted).map(|again| again.format()), Ok(formatted));
        }
        if let Ok(command) = fd_sd::Command::parse(&line) {
            prop_assert_eq!(fd_sd::Command::parse(&command.format()), Ok(command));
        }
        if let Ok(command) = holdfast::Command::parse(&line) {
            prop_assert_eq!(holdfast::Command::parse(&command.format()).map(|again| again.format()), Ok(command.format()));
        }
    }
}
