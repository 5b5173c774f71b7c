//! Answers of any size, read while they arrive: of each element, the needed fields alone are kept.
//!
//! Clients choose the size of the engine's answers: each container may have megabytes of labels. An
//! answer that was kept whole would have to be bounded, and a client could then hide everything
//! that its profile owns behind a list that is too long.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::marker::PhantomData;
use std::thread;
use std::time::Duration;

use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::{EngineError, LARGE, request, with_deadline};
use crate::engine::backend::Backend;
use cetusguard_http1::{Body, Duplex, read_content};

/// The longest answer, in bytes. Nothing of it is kept; the limit ends an answer that never ends.
const ANSWER_LIMIT: usize = 512 << 20;

/// The parts of a large answer, of up to 64 KiB each, that wait to be read.
const WAITING: usize = 4;

/// The large answers that are read at a time. Each takes a thread.
static READING: Semaphore = Semaphore::const_new(2);

/// A reader of an answer, which keeps the needed part of it.
pub(super) trait AnswerReader: Send + 'static {
    /// The part that is kept.
    type Value: Send + 'static;

    /// Reads the whole text.
    fn read<'de, R: serde_json::de::Read<'de>>(
        self,
        text: serde_json::Deserializer<R>,
    ) -> serde_json::Result<Self::Value>;
}

/// The reader of an answer that is one value.
struct OneValue<S>(S);

impl<T, S> AnswerReader for OneValue<S>
where
    T: Send + 'static,
    S: for<'de> DeserializeSeed<'de, Value = T> + Send + 'static,
{
    type Value = T;

    fn read<'de, R: serde_json::de::Read<'de>>(
        self,
        mut text: serde_json::Deserializer<R>,
    ) -> serde_json::Result<T> {
        let value = self.0.deserialize(&mut text)?;
        text.end().map(|()| value)
    }
}

/// The reader of an answer that is one value after the other, which adds them to a sum.
pub(super) struct Series<T, A> {
    pub(super) sum: A,
    pub(super) add: fn(&mut A, T),
}

impl<T: DeserializeOwned + 'static, A: Send + 'static> AnswerReader for Series<T, A> {
    type Value = A;

    fn read<'de, R: serde_json::de::Read<'de>>(
        mut self,
        text: serde_json::Deserializer<R>,
    ) -> serde_json::Result<A> {
        for value in text.into_iter() {
            (self.add)(&mut self.sum, value?);
        }
        Ok(self.sum)
    }
}

/// Fetches a JSON answer before the deadline and reads it with a seed. Returns `None` if the engine
/// answers 404.
///
/// # Errors
/// The engine cannot be reached, answers with another status than 200 and 404, does not answer in
/// time, or answers in a form that the seed cannot read.
pub(super) async fn fetch_json<T, S>(
    agent: &str,
    backend: &Backend,
    target: &str,
    deadline: Duration,
    seed: S,
) -> Result<Option<T>, EngineError>
where
    T: Send + 'static,
    S: for<'de> DeserializeSeed<'de, Value = T> + Send + 'static,
{
    fetch_and_read(agent, backend, target, deadline, OneValue(seed)).await
}

/// Fetches an answer before the deadline and reads it with any reader. Returns `None` if the engine
/// answers 404.
///
/// # Errors
/// As for [`fetch_json`].
pub(super) async fn fetch_and_read<R: AnswerReader>(
    agent: &str,
    backend: &Backend,
    target: &str,
    deadline: Duration,
    reader: R,
) -> Result<Option<R::Value>, EngineError> {
    let exchange = async {
        match request(agent, backend, target).await? {
            (200, stream, body) => read_parts(stream, body, target, reader).await.map(Some),
            (404, ..) => Ok(None),
            (status, ..) => Err(EngineError::Status(status, target.to_owned())),
        }
    };
    with_deadline(deadline, target, exchange).await
}

/// Reads the JSON body of an answer, on another thread if it is large. The caller sets the
/// deadline.
async fn read_parts<R: AnswerReader>(
    mut stream: Duplex,
    mut body: Body,
    target: &str,
    reader: R,
) -> Result<R::Value, EngineError> {
    let broken = |_| EngineError::Answer(format!("the engine broke off its answer to {target}"));
    let unreadable = |error: serde_json::Error| {
        EngineError::Answer(format!(
            "the engine's answer to {target} cannot be read: {error}"
        ))
    };
    let mut part = Vec::new();
    while part.len() <= LARGE {
        if !read_content(&mut stream.input, &mut body, &mut part)
            .await
            .map_err(broken)?
        {
            let text = serde_json::Deserializer::from_slice(&part);
            return reader.read(text).map_err(unreadable);
        }
    }
    // The semaphore lives as long as the program.
    let _turn = READING.acquire().await;
    let (parts, waiting) = mpsc::channel(WAITING);
    let reading = spawn_blocking(move || {
        reader.read(serde_json::Deserializer::from_reader(Parts::reader(
            waiting,
        )))
    });
    let mut size = 0;
    loop {
        size += part.len();
        if size > ANSWER_LIMIT {
            let limit = ANSWER_LIMIT >> 20;
            return Err(EngineError::Answer(format!(
                "the engine's answer to {target} is larger than {limit} MiB"
            )));
        }
        // The receiver is gone if an earlier part could not be read.
        if parts.send(std::mem::take(&mut part)).await.is_err()
            || !read_content(&mut stream.input, &mut body, &mut part)
                .await
                .map_err(broken)?
        {
            break;
        }
    }
    drop(parts);
    reading
        .await
        .map_err(|error| EngineError::Answer(error.to_string()))?
        .map_err(unreadable)
}

/// Reads an answer that never ends, such as a stream of events, and gives each value to a function
/// as soon as it is there as a whole. The values are read on a thread of their own for as long as
/// the stream lasts, so that what is not needed of a value is in memory at no time.
///
/// Returns the error that ended the stream: the engine may not end it either.
pub(super) async fn follow_values<T: DeserializeOwned + Send + 'static>(
    mut stream: Duplex,
    mut body: Body,
    mut take: impl FnMut(T),
) -> EngineError {
    let (parts, waiting) = mpsc::channel(WAITING);
    let (sender, mut values) = mpsc::channel(WAITING);
    let read = move || {
        let text = serde_json::Deserializer::from_reader(Parts::reader(waiting));
        for value in text.into_iter::<T>() {
            let has_failed = value.is_err();
            // The receiver is gone once nothing follows the stream any more.
            if sender.blocking_send(value).is_err() || has_failed {
                break;
            }
        }
    };
    // It ends with the stream.
    let thread = thread::Builder::new().name("events".to_owned());
    if let Err(error) = thread.spawn(read) {
        return EngineError::Answer(format!("no thread can read the engine's events: {error}"));
    }
    let passing = async {
        loop {
            let mut part = Vec::new();
            match read_content(&mut stream.input, &mut body, &mut part).await {
                Ok(true) if parts.send(part).await.is_ok() => {}
                Ok(true) => std::future::pending().await,
                Ok(false) => return "the engine ended its events",
                Err(_) => return "the engine broke off its events",
            }
        }
    };
    let taking = async {
        loop {
            match values.recv().await {
                Some(Ok(value)) => take(value),
                Some(Err(error)) => return format!("the engine's events cannot be read: {error}"),
                None => std::future::pending().await,
            }
        }
    };
    let why = tokio::select! {
        // An error of the text is told before the end that follows it.
        biased;
        why = taking => why,
        why = passing => why.to_owned(),
    };
    EngineError::Answer(why)
}

/// The parts of an answer, as a reader that waits for the next one.
struct Parts {
    waiting: mpsc::Receiver<Vec<u8>>,
    part: Vec<u8>,
    taken: usize,
}

impl Parts {
    /// Returns the reader of these parts. It has a buffer, since serde_json takes one byte at a time.
    fn reader(waiting: mpsc::Receiver<Vec<u8>>) -> BufReader<Self> {
        BufReader::new(Self {
            waiting,
            part: Vec::new(),
            taken: 0,
        })
    }
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.part.len() {
            let Some(part) = self.waiting.blocking_recv() else {
                return Ok(0);
            };
            (self.part, self.taken) = (part, 0);
        }
        let length = into.len().min(self.part.len() - self.taken);
        into[..length].copy_from_slice(&self.part[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

/// The seed that reads one value.
pub(super) struct Single<T>(PhantomData<T>);

impl<T> Single<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Single<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

/// The seed that reads a list, and adds its elements to a sum one after the other. The list may be
/// `null`, and may be a member of an object.
pub(super) struct Elements<T, A> {
    /// The member that is the list; `None` if the answer is the list.
    pub(super) member: Option<&'static str>,
    pub(super) sum: A,
    pub(super) add: fn(&mut A, T),
}

impl<'de, T: Deserialize<'de>, A> DeserializeSeed<'de> for Elements<T, A> {
    type Value = A;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<A, D::Error> {
        match self.member {
            Some(_) => deserializer.deserialize_map(self),
            None => deserializer.deserialize_option(self),
        }
    }
}

impl<'de, T: Deserialize<'de>, A> serde::de::Visitor<'de> for Elements<T, A> {
    type Value = A;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            Some(member) => write!(f, "an object with the list {member}"),
            None => f.write_str("a list"),
        }
    }

    fn visit_none<E>(self) -> Result<A, E> {
        Ok(self.sum)
    }

    fn visit_unit<E>(self) -> Result<A, E> {
        Ok(self.sum)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<A, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut elements: S) -> Result<A, S::Error> {
        while let Some(element) = elements.next_element()? {
            (self.add)(&mut self.sum, element);
        }
        Ok(self.sum)
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut members: M) -> Result<A, M::Error> {
        let wanted = self.member.take();
        while let Some(key) = members.next_key::<String>()? {
            if Some(key.as_str()) == wanted {
                self = Self {
                    sum: members.next_value_seed(Self {
                        member: None,
                        ..self
                    })?,
                    member: None,
                    add: self.add,
                };
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(self.sum)
    }
}

/// Reads a text as an answer that arrives in parts of each size up to nine bytes, and as a whole.
/// The reader has to find the same in each.
///
/// # Errors
/// The text cannot be read.
#[cfg(test)]
pub(super) fn read_in_parts<T, S>(text: &str, seed: impl Fn() -> S) -> Result<T, String>
where
    S: for<'de> DeserializeSeed<'de, Value = T>,
{
    let read = |parts: &[&[u8]]| {
        let (sender, waiting) = mpsc::channel(parts.len().max(1));
        for part in parts {
            sender.try_send(part.to_vec()).expect("room");
        }
        drop(sender);
        let mut text = serde_json::Deserializer::from_reader(Parts::reader(waiting));
        let value = seed().deserialize(&mut text);
        value.and_then(|value| text.end().map(|()| value))
    };
    let mut whole = serde_json::Deserializer::from_str(text);
    let value = seed().deserialize(&mut whole);
    let value = value.and_then(|value| whole.end().map(|()| value));
    for size in 1..10 {
        let parts: Vec<_> = text.as_bytes().chunks(size).collect();
        assert_eq!(read(&parts).is_ok(), value.is_ok(), "{text}");
    }
    match value {
        Ok(_) => read(&[text.as_bytes()]).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_one_after_the_other() {
        let read = |member, text: &str| {
            let seed = || Elements {
                member,
                sum: Vec::new(),
                add: |sum: &mut Vec<u32>, element: u32| sum.push(element),
            };
            read_in_parts(text, seed).ok()
        };
        for (member, text, want) in [
            (None, "[]", Some(vec![])),
            (None, " [ 1 , 2 ] \n", Some(vec![1, 2])),
            (None, "null", Some(vec![])),
            (Some("V"), r#"{"V":[1,2]}"#, Some(vec![1, 2])),
            (
                Some("V"),
                r#"{"W":[[3]],"V":[1,2],"X":{"V":[4]}}"#,
                Some(vec![1, 2]),
            ),
            (Some("V"), r#"{"V":null,"W":[3]}"#, Some(vec![])),
            (Some("V"), "{}", Some(vec![])),
            (None, "", None),
            (None, "{}", None),
            (None, "[]]", None),
            (None, "[] x", None),
            (None, "[,]", None),
            (None, "[1,]", None),
            (None, "[1 2]", None),
            (None, "[1", None),
            (None, "[-1]", None),
            (Some("V"), "[1]", None),
            (Some("V"), r#"{"V":[1]"#, None),
            (Some("V"), r#"{"V":1}"#, None),
        ] {
            assert_eq!(read(member, text), want, "{member:?} {text}");
        }
    }
}
