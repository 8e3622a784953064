//! The word that a port closes: nobody waits for news any longer, no stream takes more.

use tokio::sync::watch;

/// Hears the word; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    said: watch::Receiver<bool>,
}

/// Says the word, once.
#[derive(Debug)]
pub(crate) struct Close {
    say: watch::Sender<bool>,
}

/// The two ends.
pub(crate) fn closing() -> (Close, Closing) {
    let (say, said) = watch::channel(false);
    (Close { say }, Closing { said })
}

impl Close {
    /// Says it.
    pub(crate) fn close(&self) {
        self.say.send_replace(true);
    }
}

impl Closing {
    /// Ends when it was said, or nobody is left to say it.
    pub(crate) async fn wait(&mut self) {
        self.said.wait_for(|said| *said).await.ok();
    }
}
