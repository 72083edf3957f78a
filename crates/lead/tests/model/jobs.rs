//! One job through attempts and journals: two Directors, one of them stale, an SD that dies, starts and records that are late,
//! repeated or lost, and a File Daemon that knows nothing of it. Grants, places of records and refusals are the catalog's functions.

use catalog::attempt::{AttemptState, is_given_up, next_after};
use catalog::journal::{Place, place};
use catalog::leader::may_write;
use stateright::{Model, Property};
use types::{Attempt, Epoch, Seq};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// A new attempt is granted while the old one is open.
    AttemptNotClosed,
    /// The catalog takes writes of any epoch.
    WritesOfAnyEpoch,
    /// A record is taken for new whatever its number.
    NumbersIgnored,
    /// The journal of a closed attempt is taken.
    ClosedTaken,
}

#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    /// Files of the job; the end line follows them.
    pub(crate) files: usize,
    pub(crate) attempts_max: u32,
    pub(crate) takeovers_max: u8,
    pub(crate) bug: Option<Bug>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    epoch: u64,
    attempts: Vec<Granted>,
    /// Rows of each file.
    rows: Vec<u8>,
    /// How often the job was given a final state; `T` if it was once complete.
    finals: u8,
    is_complete: bool,
    directors: [Director; 2],
    sessions: Vec<Session>,
    takeovers: u8,
}

/// An attempt in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Granted {
    attempt: Attempt,
    state: AttemptState,
    position: Seq,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Director {
    epoch: u64,
    /// A start on its way to the SD.
    start: Option<(Attempt, usize)>,
    following: Option<Following>,
}

/// The journal that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Following {
    attempt: Attempt,
    seen: Seq,
    /// A record on its way, or in a transaction not yet committed.
    record: Option<Seq>,
}

/// A session of the SD, and its journal: a record for each file that is checkpointed, then the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Session {
    attempt: Attempt,
    /// Files that earlier attempts had brought in.
    after: usize,
    files: usize,
    is_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    TakeOver(usize),
    Grant(usize),
    Start(usize),
    LoseStart(usize),
    Attach(usize, Attempt),
    Stream(usize, Seq),
    LoseRecord(usize),
    Commit { by: usize, is_answered: bool },
    Close(usize, Attempt),
    Write(usize),
    End(usize),
}

impl World {
    fn granted(&mut self, attempt: Attempt) -> Option<&mut Granted> {
        self.attempts.iter_mut().find(|granted| granted.attempt == attempt)
    }

    fn session(&self, attempt: Attempt) -> Option<&Session> {
        self.sessions.iter().find(|session| session.attempt == attempt)
    }
}

impl Jobs {
    fn writes(&self, world: &World, by: usize) -> bool {
        self.bug == Some(Bug::WritesOfAnyEpoch)
            || may_write(Some(Epoch(world.epoch)), Epoch(world.directors[by].epoch))
    }

    /// One transaction grants the attempt; what it is to send is what the catalog lacks.
    fn grant(&self, world: &mut World, by: usize) -> Option<()> {
        if !self.writes(world, by) || world.finals > 0 {
            return None;
        }
        let earlier = world.attempts.iter().map(|granted| (granted.attempt, granted.state));
        let attempt = match self.bug {
            Some(Bug::AttemptNotClosed) => {
                next_after(earlier.map(|(attempt, _)| (attempt, AttemptState::Closed)))
            }
            _ => next_after(earlier),
        }
        .ok()?;
        if attempt.0 > self.attempts_max {
            return None;
        }
        let after = world.rows.iter().take_while(|rows| **rows > 0).count();
        world.attempts.push(Granted { attempt, state: AttemptState::Open, position: Seq(0) });
        world.directors[by].start = Some((attempt, after));
        Some(())
    }

    fn attach(&self, world: &mut World, by: usize, attempt: Attempt) -> Option<()> {
        let granted = world.granted(attempt)?;
        if is_given_up(granted.state) && self.bug != Some(Bug::ClosedTaken) {
            // The SD is told, and drops the journal.
            world.sessions.retain(|session| session.attempt != attempt);
            return Some(());
        }
        let seen = granted.position;
        world.directors[by].following = Some(Following { attempt, seen, record: None });
        Some(())
    }

    /// The record and its position are one transaction. When its answer is lost the Director attaches anew.
    fn commit(&self, world: &mut World, by: usize, is_answered: bool) -> Option<()> {
        let following = world.directors[by].following.as_mut()?;
        let (attempt, seen, seq) = (following.attempt, following.seen, following.record.take()?);
        let place = match self.bug {
            Some(Bug::NumbersIgnored) => Place::Next,
            _ => place(seen, seq),
        };
        match place {
            Place::Repeated => return Some(()),
            Place::Gap => {
                world.directors[by].following = None;
                return Some(());
            }
            Place::Next => {}
        }
        if !self.writes(world, by) {
            world.directors[by].following = None;
            return Some(());
        }
        let session = world.session(attempt)?.clone();
        let granted = world.granted(attempt)?;
        granted.position = granted.position.max(seq);
        let index = usize::try_from(seq.0).ok()?;
        if index <= session.files {
            world.rows[session.after + index - 1] += 1;
        } else if granted.state == AttemptState::Open {
            granted.state = AttemptState::Ended;
            world.finals += 1;
            world.is_complete = session.after + session.files == self.files;
        }
        let following = world.directors[by].following.as_mut()?;
        following.seen = seq;
        if !is_answered {
            world.directors[by].following = None;
        }
        Some(())
    }

    /// The Director gives an attempt up: the SD does not answer, or had not begun.
    fn close(&self, world: &mut World, by: usize, attempt: Attempt) -> Option<()> {
        if !self.writes(world, by) {
            return None;
        }
        let granted = world.granted(attempt)?;
        if granted.state != AttemptState::Open {
            return None;
        }
        granted.state = AttemptState::Closed;
        if attempt.0 == self.attempts_max {
            world.finals += 1;
        }
        let following = &mut world.directors[by].following;
        if following.is_some_and(|following| following.attempt == attempt) {
            *following = None;
        }
        Some(())
    }

    fn start(&self, world: &mut World, by: usize) -> Option<()> {
        let (attempt, after) = world.directors[by].start.take()?;
        if world.session(attempt).is_none() {
            world.sessions.push(Session { attempt, after, files: 0, is_ended: false });
        }
        Some(())
    }

    fn director_actions(&self, world: &World, by: usize, actions: &mut Vec<Action>) {
        let director = &world.directors[by];
        if world.takeovers < self.takeovers_max && director.epoch < world.epoch {
            actions.push(Action::TakeOver(by));
        }
        if director.epoch == 0 {
            return;
        }
        if director.start.is_some() {
            actions.extend([Action::Start(by), Action::LoseStart(by)]);
        } else {
            actions.push(Action::Grant(by));
        }
        for granted in &world.attempts {
            actions.push(Action::Close(by, granted.attempt));
            if director.following.is_none() && world.session(granted.attempt).is_some() {
                actions.push(Action::Attach(by, granted.attempt));
            }
        }
        let Some(following) = director.following else { return };
        if following.record.is_some() {
            let commit = |is_answered| Action::Commit { by, is_answered };
            actions.extend([commit(true), commit(false), Action::LoseRecord(by)]);
        } else if let Some(session) = world.session(following.attempt) {
            let last = session.files + usize::from(session.is_ended);
            actions.extend((1..=last as u64).map(|seq| Action::Stream(by, Seq(seq))));
        }
    }
}

impl Model for Jobs {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let active = Director { epoch: 1, ..Director::default() };
        vec![World {
            epoch: 1,
            attempts: Vec::new(),
            rows: vec![0; self.files],
            finals: 0,
            is_complete: false,
            directors: [active, Director::default()],
            sessions: Vec::new(),
            takeovers: 0,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for by in 0..world.directors.len() {
            self.director_actions(world, by, actions);
        }
        for at in 0..world.sessions.len() {
            actions.extend([Action::Write(at), Action::End(at)]);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::TakeOver(by) => {
                next.epoch += 1;
                next.takeovers += 1;
                next.directors[by] = Director { epoch: next.epoch, ..Director::default() };
            }
            Action::Grant(by) => self.grant(&mut next, by)?,
            Action::Start(by) => self.start(&mut next, by)?,
            Action::LoseStart(by) => next.directors[by].start = None,
            Action::Attach(by, attempt) => self.attach(&mut next, by, attempt)?,
            Action::Stream(by, seq) => next.directors[by].following.as_mut()?.record = Some(seq),
            Action::LoseRecord(by) => next.directors[by].following.as_mut()?.record = None,
            Action::Commit { by, is_answered } => self.commit(&mut next, by, is_answered)?,
            Action::Close(by, attempt) => self.close(&mut next, by, attempt)?,
            Action::Write(at) => {
                let session = &mut next.sessions[at];
                if session.is_ended || session.after + session.files == self.files {
                    return None;
                }
                session.files += 1;
            }
            // Complete, or cut off by a crash of SD or FD at its last checkpoint.
            Action::End(at) => next.sessions[at].is_ended = true,
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I3: each file is in the catalog at most once", |_, world: &World| {
                world.rows.iter().all(|rows| *rows <= 1)
            }),
            Property::always("I3: a complete job has all its files", |_, world: &World| {
                !world.is_complete || world.rows.iter().all(|rows| *rows == 1)
            }),
            Property::always("I5: a job reaches one final state", |_, world: &World| world.finals <= 1),
            Property::always(
                "I8: an attempt is granted once, and one is open at most",
                |_, world: &World| {
                    let is_open = |granted: &&Granted| granted.state == AttemptState::Open;
                    let numbers = world.attempts.iter().enumerate();
                    world.attempts.iter().filter(is_open).count() <= 1
                        && numbers.into_iter().all(|(at, granted)| granted.attempt.0 as usize == at + 1)
                },
            ),
            Property::sometimes("a second attempt completes what the first began", |_, world: &World| {
                world.is_complete && world.attempts.len() == 2 && world.sessions.iter().all(|s| s.after > 0)
            }),
            Property::sometimes("a job is adopted and ends complete", |_, world: &World| {
                world.is_complete && world.takeovers > 0 && world.attempts.len() == 1
            }),
        ]
    }
}
