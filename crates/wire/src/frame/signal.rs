//! Signals: packets with a negative length and no payload (spec/01 §1.3).

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// A packet without payload.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Signal {
            $($(#[$doc])* $name,)*
            /// A number without a name; log it and go on.
            Unknown(i32),
        }

        impl Signal {
            /// All signals that have a name.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The negative number on the wire.
            #[must_use]
            pub const fn number(self) -> i32 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            /// The signal of a number.
            #[must_use]
            pub const fn from_number(number: i32) -> Self {
                match number {
                    $($number => Self::$name,)*
                    number => Self::Unknown(number),
                }
            }
        }
    };
}

signals! {
    /// End of the current list, answer or stream; the connection stays open.
    Eod = -1;
    /// End of data and a poll.
    EodPoll = -2;
    /// Asks for the status.
    Status = -3;
    /// The sender is closing.
    Terminate = -4;
    /// Asks for a sign of life.
    Poll = -5;
    /// Keep-alive during a job; no answer.
    Heartbeat = -6;
    /// Answer to a heartbeat.
    HbResponse = -7;
    /// Unused.
    OldPrompt = -8;
    /// Asks the Director for its clock.
    Btime = -9;
    /// Stop the current command.
    Break = -10;
    /// A selection list follows.
    StartSelect = -11;
    /// The selection list is over.
    EndSelect = -12;
    /// Invalid command.
    InvalidCmd = -13;
    /// Command failed.
    CmdFailed = -14;
    /// Command succeeded.
    CmdOk = -15;
    /// Command recognised, output follows.
    CmdBegin = -16;
    /// Job messages are waiting.
    MsgsPending = -17;
    /// Ready for the next command.
    MainPrompt = -18;
    /// Expects the number chosen from the list.
    SelectInput = -19;
    /// The next packet is a warning.
    WarningMsg = -20;
    /// The next packet is an error.
    ErrorMsg = -21;
    /// The next packet is information.
    InfoMsg = -22;
    /// The next packet is the summary of a job to run.
    RunCmd = -23;
    /// The next question wants yes or no.
    YesNo = -24;
    /// File selection of a restore begins.
    StartRtree = -25;
    /// File selection of a restore is over.
    EndRtree = -26;
    /// A question was printed; one line is expected.
    SubPrompt = -27;
    /// The next packet is a question; one line is expected.
    TextInput = -28;
    /// Inside a File Daemon only.
    ExtTerminate = -29;
    /// The connection is handed over for a new job.
    FdCalled = -30;
    /// Echoed on a connection that the client opened.
    IsAlive = -31;
}
