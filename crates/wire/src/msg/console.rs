//! How a Director marks its output to a console (spec/01 §6).

use crate::frame::{PacketRef, Signal};

/// What a console does with a packet of the Director.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromDirector<'a> {
    /// Text to show as it is: packet boundaries are no line boundaries.
    Text(&'a [u8]),
    /// The command is over: the next one may be sent.
    Ready,
    /// A question was printed: one answer line is expected.
    Question,
    /// The next packet is a question, then one answer line is expected (api modes).
    QuestionFollows,
    /// Job messages are waiting.
    MessagesPending,
    /// The Director closes.
    Closing,
    /// The command succeeded (api modes).
    Succeeded,
    /// The command failed (api modes).
    Failed,
    /// Marks the next packet or the state of a dialogue (api modes); of no meaning for people.
    Mark(Signal),
    /// The Director asks for a sign of life; nothing is to be done.
    Ignored(Signal),
}

impl<'a> FromDirector<'a> {
    /// Sorts a packet.
    #[must_use]
    pub fn of(packet: PacketRef<'a>) -> Self {
        let signal = match packet {
            PacketRef::Data(text) => return Self::Text(text),
            PacketRef::Signal(signal) => signal,
        };
        match signal {
            Signal::Eod | Signal::MainPrompt | Signal::EodPoll => Self::Ready,
            Signal::SubPrompt => Self::Question,
            Signal::TextInput => Self::QuestionFollows,
            Signal::MsgsPending => Self::MessagesPending,
            Signal::Terminate | Signal::ExtTerminate => Self::Closing,
            Signal::CmdOk => Self::Succeeded,
            Signal::CmdFailed | Signal::InvalidCmd => Self::Failed,
            Signal::CmdBegin
            | Signal::StartSelect
            | Signal::EndSelect
            | Signal::SelectInput
            | Signal::WarningMsg
            | Signal::ErrorMsg
            | Signal::InfoMsg
            | Signal::RunCmd
            | Signal::YesNo
            | Signal::StartRtree
            | Signal::EndRtree => Self::Mark(signal),
            Signal::Status
            | Signal::Poll
            | Signal::Heartbeat
            | Signal::HbResponse
            | Signal::OldPrompt
            | Signal::Btime
            | Signal::Break
            | Signal::FdCalled
            | Signal::IsAlive
            | Signal::Unknown(_) => Self::Ignored(signal),
        }
    }
}
