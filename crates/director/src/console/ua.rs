//! Talking to one console: packets out, lines in, prompts and selections in every api mode (spec/01 §6.1, §6.2).

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Signals that a Director sends to a console (spec/01 §1.3, §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sig {
    /// End of the answer (api 0).
    Eod,
    /// Answer to any signal at top level.
    Poll,
    /// A question has been printed.
    SubPrompt,
    /// Ready for a command (api 1 and 2).
    MainPrompt,
    /// A command was recognised.
    CmdBegin,
    /// It went well.
    CmdOk,
    /// It did not.
    CmdFailed,
    /// Messages wait.
    MsgsPending,
    /// A list to choose from begins.
    StartSelect,
    /// It is complete.
    EndSelect,
    /// A number is expected.
    SelectInput,
    /// Free text is expected.
    TextInput,
    /// Yes or no is expected.
    YesNo,
    /// The next text is a warning.
    WarningMsg,
    /// The next text is an error.
    ErrorMsg,
    /// The next text is information.
    InfoMsg,
    /// The next text is a job summary.
    RunCmd,
    /// The restore tree begins.
    StartRtree,
    /// It is over.
    EndRtree,
}

impl Sig {
    /// The number on the wire.
    #[must_use]
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::Eod => -1,
            Self::Poll => -5,
            Self::StartSelect => -11,
            Self::EndSelect => -12,
            Self::CmdFailed => -14,
            Self::CmdOk => -15,
            Self::CmdBegin => -16,
            Self::MsgsPending => -17,
            Self::MainPrompt => -18,
            Self::SelectInput => -19,
            Self::WarningMsg => -20,
            Self::ErrorMsg => -21,
            Self::InfoMsg => -22,
            Self::RunCmd => -23,
            Self::YesNo => -24,
            Self::StartRtree => -25,
            Self::EndRtree => -26,
            Self::SubPrompt => -27,
            Self::TextInput => -28,
        }
    }
}

/// What goes to the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    /// One packet.
    Text(Vec<u8>),
    /// One signal.
    Signal(Sig),
}

/// What comes from the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum In {
    /// One packet: a command or an answer.
    Line(String),
    /// A signal.
    Signal(i32),
}

/// Why a command stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Halt {
    /// The console is gone: the session ends.
    #[error("the console has gone")]
    Gone,
    /// The command failed and has said why (`CMD_FAILED` in the api modes).
    #[error("the command failed")]
    Failed,
    /// The user left a dialogue; nothing was done.
    #[error("the user left the dialogue")]
    Left,
}

/// What a command gives back.
pub(crate) type Done<T = ()> = Result<T, Halt>;

/// Packets waiting to be written to the console; a slow console holds its session back, nothing else.
pub(crate) const OUT_PACKETS_MAX: usize = 256;
/// Largest text packet: well below the protocol's 1,000,000 bytes (spec/01 §1.1).
const TEXT_BYTES_MAX: usize = 16 * 1024;

type TakeMessages = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// One console's dialogue.
pub(crate) struct Ua {
    /// 0 for people, 1 and 2 for programs (spec/01 §6.2).
    pub(crate) api: u8,
    /// `gui on`: no notices, no commas.
    pub(crate) gui: bool,
    /// `autodisplay on`: messages are shown without being asked for.
    pub(crate) autodisplay: bool,
    /// `automount off`: `label` does not mount what it labelled.
    pub(crate) automount: bool,
    out: mpsc::Sender<Out>,
    input: mpsc::Receiver<In>,
    messages: TakeMessages,
    gone: CancellationToken,
}

impl Ua {
    /// A dialogue over two channels. `messages` takes the messages that wait for the console.
    #[must_use]
    pub(crate) fn new(out: mpsc::Sender<Out>, input: mpsc::Receiver<In>, messages: TakeMessages) -> Self {
        let gone = CancellationToken::new();
        Self { api: 0, gui: false, autodisplay: false, automount: true, out, input, messages, gone }
    }

    /// With a token that tells that the console has left: waiting commands end then.
    #[must_use]
    pub(crate) fn until(mut self, gone: CancellationToken) -> Self {
        self.gone = gone;
        self
    }

    /// Whether tables go without commas.
    #[must_use]
    pub(crate) fn plain(&self) -> bool {
        self.gui
    }

    async fn put(&self, out: Out) -> Done {
        self.out.send(out).await.map_err(|_| Halt::Gone)
    }

    /// Sends a text; long ones in several packets, cut at line ends.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn send(&self, text: impl AsRef<str>) -> Done {
        self.send_bytes(text.as_ref().as_bytes()).await
    }

    /// As [`Self::send`], for names that are no UTF-8.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn send_bytes(&self, text: &[u8]) -> Done {
        let mut rest = text;
        while rest.len() > TEXT_BYTES_MAX {
            let cut =
                rest[..TEXT_BYTES_MAX].iter().rposition(|&b| b == b'\n').map_or(TEXT_BYTES_MAX, |at| at + 1);
            self.put(Out::Text(rest[..cut].to_vec())).await?;
            rest = &rest[cut..];
        }
        if rest.is_empty() { Ok(()) } else { self.put(Out::Text(rest.to_vec())).await }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn signal(&self, signal: Sig) -> Done {
        self.put(Out::Signal(signal)).await
    }

    async fn flagged(&self, signal: Sig, text: &str) -> Done {
        if self.api != 0 {
            self.signal(signal).await?;
        }
        self.send(text).await
    }

    /// An error text.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn error(&self, text: impl AsRef<str>) -> Done {
        self.flagged(Sig::ErrorMsg, text.as_ref()).await
    }

    /// Says what went wrong and ends the command.
    ///
    /// # Errors
    /// Always: [`Halt::Failed`], or [`Halt::Gone`].
    pub(crate) async fn fail<T>(&self, text: impl AsRef<str>) -> Done<T> {
        self.error(text).await?;
        Err(Halt::Failed)
    }

    /// A warning text.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn warn(&self, text: impl AsRef<str>) -> Done {
        self.flagged(Sig::WarningMsg, text.as_ref()).await
    }

    /// An informing text.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn info(&self, text: impl AsRef<str>) -> Done {
        self.flagged(Sig::InfoMsg, text.as_ref()).await
    }

    /// The next command or answer. Cancel safe.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn next(&mut self) -> Done<In> {
        self.input.recv().await.ok_or(Halt::Gone)
    }

    /// An answer; signals are ignored and `.messages` is served in between (spec/01 §6.1).
    async fn answer(&mut self) -> Done<String> {
        loop {
            match self.next().await? {
                In::Line(line) if line.trim() == ".messages" => {
                    if self.autodisplay {
                        let texts = (self.messages)();
                        for text in texts {
                            self.send(text).await?;
                        }
                    }
                    self.ask_again().await?;
                }
                In::Line(line) => return Ok(line.trim().to_owned()),
                In::Signal(_) => {}
            }
        }
    }

    async fn ask_again(&self) -> Done {
        if self.api == 0 { self.signal(Sig::SubPrompt).await } else { Ok(()) }
    }

    /// Asks for free text. `None` when a period was typed.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn ask(&mut self, question: &str) -> Done<Option<String>> {
        if self.api == 0 {
            self.send(question).await?;
            self.signal(Sig::SubPrompt).await?;
        } else {
            self.signal(Sig::TextInput).await?;
            self.send(question).await?;
        }
        let answer = self.answer().await?;
        Ok((answer != ".").then_some(answer))
    }

    /// Asks in the restore tree, where the sub-prompt signal is used in every api mode (spec/01 §6.2).
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn ask_in_tree(&mut self, prompt: &str) -> Done<String> {
        self.send(prompt).await?;
        self.signal(Sig::SubPrompt).await?;
        self.answer().await
    }

    /// Asks until the answer is yes or no. `None` when a period was typed.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn ask_yes_no(&mut self, question: &str) -> Done<Option<bool>> {
        if self.api != 0 {
            self.signal(Sig::YesNo).await?;
        }
        loop {
            let Some(answer) = self.ask(question).await? else { return Ok(None) };
            match super::args::yes_no(&answer) {
                Some(answer) => return Ok(Some(answer)),
                None => self.warn("Invalid response. You must answer yes or no.\n").await?,
            }
        }
    }

    /// Asks for a whole number. `None` when a period was typed.
    ///
    /// # Errors
    /// [`Halt::Gone`].
    pub(crate) async fn ask_number(&mut self, question: &str) -> Done<Option<u64>> {
        loop {
            let Some(answer) = self.ask(question).await? else { return Ok(None) };
            match answer.parse() {
                Ok(number) => return Ok(Some(number)),
                Err(_) => self.warn(format!("Expected a positive integer, got: {answer}\n")).await?,
            }
        }
    }

    /// Waits for `work`, at most `limit`, and no longer than the console stays. `None` after `limit`.
    ///
    /// # Errors
    /// [`Halt::Gone`] when the console leaves meanwhile.
    pub(crate) async fn unless_gone<T>(
        &self,
        limit: Option<std::time::Duration>,
        work: impl Future<Output = T>,
    ) -> Done<Option<T>> {
        let bounded = async {
            match limit {
                Some(limit) => tokio::time::timeout(limit, work).await.ok(),
                None => Some(work.await),
            }
        };
        tokio::select! {
            done = bounded => Ok(done),
            () = self.out.closed() => Err(Halt::Gone),
            () = self.gone.cancelled() => Err(Halt::Gone),
        }
    }

    /// Lets the user choose one of `items`; a single one is taken at once. Gives its place in `items`.
    ///
    /// `what` names the thing in `Automatically selected …`; `question` goes without the `(1-n)`.
    ///
    /// # Errors
    /// [`Halt::Left`] when a period was typed (said to the user), [`Halt::Gone`].
    pub(crate) async fn select(
        &mut self,
        title: &str,
        what: &str,
        question: &str,
        items: &[String],
    ) -> Done<usize> {
        match items {
            [] => {
                self.error(format!("There is no {what} to select.\n")).await?;
                Err(Halt::Failed)
            }
            [only] => {
                if self.api == 0 {
                    self.send(format!("Automatically selected {what}: {only}\n")).await?;
                }
                Ok(0)
            }
            _ => self.choose(title, question, items).await,
        }
    }

    /// As [`Self::select`], without taking a single entry by itself.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub(crate) async fn choose(&mut self, title: &str, question: &str, items: &[String]) -> Done<usize> {
        self.show_choices(title, items).await?;
        let question = match items.len() {
            1 => format!("{question} (1): "),
            n => format!("{question} (1-{n}): "),
        };
        loop {
            if self.api != 0 {
                self.signal(Sig::SelectInput).await?;
            }
            let Some(answer) = self.ask(&question).await? else {
                self.info("Selection aborted, nothing done.\n").await?;
                return Err(Halt::Left);
            };
            match answer.parse::<usize>() {
                Ok(number) if (1..=items.len()).contains(&number) => return Ok(number - 1),
                Ok(0) | Err(_) => self.warn(format!("Expected a positive integer, got: {answer}\n")).await?,
                Ok(_) => self.warn(format!("Please enter a number between 1 and {}\n", items.len())).await?,
            }
        }
    }

    async fn show_choices(&self, title: &str, items: &[String]) -> Done {
        if self.api == 0 {
            self.send(format!("{title}\n")).await?;
            for (i, item) in items.iter().enumerate() {
                self.send(format!("{:6}: {item}\n", i + 1)).await?;
            }
            return Ok(());
        }
        self.signal(Sig::StartSelect).await?;
        self.send(format!("{title}\n")).await?;
        for item in items {
            self.send(item).await?;
        }
        self.signal(Sig::EndSelect).await
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A dialogue whose answers are given beforehand; all that was sent is kept.
    pub(in super::super) fn scripted(answers: &[&str]) -> (Ua, mpsc::Receiver<Out>) {
        let (out, sent) = mpsc::channel(10_000);
        let (type_in, input) = mpsc::channel(1000);
        for answer in answers {
            type_in.try_send(In::Line((*answer).to_owned())).unwrap();
        }
        (Ua::new(out, input, Box::new(Vec::new)), sent)
    }

    /// All texts that were sent, joined; signals other than the sub-prompt as `<name>`.
    pub(in super::super) fn transcript(sent: &mut mpsc::Receiver<Out>) -> String {
        let mut text = String::new();
        while let Ok(out) = sent.try_recv() {
            match out {
                Out::Text(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                Out::Signal(signal) => text.push_str(&format!("<{signal:?}>")),
            }
        }
        text
    }

    fn items(items: &[&str]) -> Vec<String> {
        items.iter().map(|i| (*i).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_list_is_chosen_from_by_number() {
        let (mut ua, mut sent) = scripted(&["x", "9", "0", "2"]);
        let at = ua
            .select("The defined Client resources are:", "Client", "Select Client", &items(&["a", "b"]))
            .await;
        assert_eq!(at, Ok(1));
        assert_eq!(
            transcript(&mut sent),
            "The defined Client resources are:\n     1: a\n     2: b\nSelect Client (1-2): <SubPrompt>\
             Expected a positive integer, got: x\nSelect Client (1-2): <SubPrompt>\
             Please enter a number between 1 and 2\nSelect Client (1-2): <SubPrompt>\
             Expected a positive integer, got: 0\nSelect Client (1-2): <SubPrompt>"
        );
    }

    #[tokio::test]
    async fn a_period_leaves_and_a_single_entry_is_taken() {
        let (mut ua, mut sent) = scripted(&["."]);
        assert_eq!(ua.select("T:", "X", "Q", &items(&["a", "b"])).await, Err(Halt::Left));
        assert!(transcript(&mut sent).ends_with("Selection aborted, nothing done.\n"));
        assert_eq!(ua.select("T:", "Job", "Q", &items(&["only"])).await, Ok(0));
        assert_eq!(transcript(&mut sent), "Automatically selected Job: only\n");
        assert_eq!(ua.ask("?").await, Err(Halt::Gone));
    }

    #[tokio::test]
    async fn the_api_modes_speak_in_signals() {
        let (mut ua, mut sent) = scripted(&["1", "no"]);
        ua.api = 1;
        assert_eq!(
            ua.select("Status available for:", "", "Select", &items(&["Director", "All"])).await,
            Ok(0)
        );
        assert_eq!(
            transcript(&mut sent),
            "<StartSelect>Status available for:\nDirectorAll<EndSelect><SelectInput><TextInput>Select (1-2): "
        );
        assert_eq!(ua.ask_yes_no("Sure? (yes/no): ").await, Ok(Some(false)));
        assert_eq!(transcript(&mut sent), "<YesNo><TextInput>Sure? (yes/no): ");
    }

    #[tokio::test]
    async fn a_long_text_is_cut_at_line_ends() {
        let (ua, mut sent) = scripted(&[]);
        let text = "0123456789\n".repeat(5000);
        ua.send(&text).await.unwrap();
        let mut packets = 0;
        let mut all = Vec::new();
        while let Ok(Out::Text(bytes)) = sent.try_recv() {
            assert!(bytes.ends_with(b"\n"));
            packets += 1;
            all.extend(bytes);
        }
        assert_eq!((packets, all), (4, text.into_bytes()));
    }
}
