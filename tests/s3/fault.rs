//! What can go wrong with one request to the fake.

use std::io::{self, Write};

use bytes::Bytes;

use super::fake::Operation;
use super::http::{Answer, Request};

/// When something goes wrong, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Which requests are counted; all of them where it is `None`.
    pub(crate) operation: Option<Operation>,
    /// Strikes at this one of the counted requests; every one where it is 0 and all are counted.
    pub(crate) at: u64,
    /// What happens.
    pub(crate) effect: Effect,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing is done; the answer has this status and code, or is a proxy's page where the code is empty.
    Refuse(u16, &'static str),
    /// It is done, but the connection ends before the answer.
    LoseReply,
    /// Nothing is done; the connection ends.
    Reset,
    /// The connection ends while the request is still being sent.
    ResetUpload,
    /// It is done; the answer ends in its middle.
    CutAnswer,
    /// Nothing is done, and nothing is ever said.
    Silence,
    /// It is done; the answer stops in its middle, and the connection stays.
    StallAnswer,
    /// The answer is one byte shorter, and says so.
    ShortLength,
    /// The answer says that it is longer than it is, and ends.
    LongLength,
    /// One bit of the answer's body is wrong.
    FlipBit,
    /// Nothing is done; the answer is a success with an error in it.
    SuccessWithError,
    /// Nothing is done; the answer is a success that says nothing.
    EmptySuccess,
    /// Another range comes, and says so.
    WrongRange,
    /// The whole object comes, whatever range was asked for.
    IgnoreRange,
    /// It is read slowly, and done.
    SlowUpload,
    /// What arrives differs from what was sent in one bit.
    DamageUpload,
    /// Half of what was sent is kept, without a look at its checksum, and acknowledged.
    TruncateUpload,
    /// The checksum in the answer is another's.
    WrongEcho,
    /// The page of the listing says that it is followed by itself.
    LoopListing,
    /// The page of the listing does not say how to go on.
    LoseToken,
    /// The page lacks a key that it counts.
    LoseKey,
    /// The answer is not HTTP.
    Garbage,
    /// It is done; the answer comes twice.
    AnswerTwice,
}

impl Effect {
    /// Whether the request is performed at all.
    pub(crate) fn performs(self) -> bool {
        !matches!(
            self,
            Self::Refuse(..)
                | Self::Reset
                | Self::ResetUpload
                | Self::Silence
                | Self::SuccessWithError
                | Self::EmptySuccess
                | Self::Garbage
        )
    }

    /// Whether the connection ends with it.
    pub(crate) fn ends(self) -> bool {
        matches!(
            self,
            Self::LoseReply
                | Self::Reset
                | Self::ResetUpload
                | Self::CutAnswer
                | Self::Silence
                | Self::StallAnswer
                | Self::LongLength
                | Self::Garbage
                | Self::AnswerTwice
        )
    }

    /// The answer where nothing is done.
    pub(crate) fn instead(self) -> Answer {
        match self {
            Self::Refuse(status, "") => {
                Answer::new(status).with("Content-Type", "text/html").body(Bytes::from_static(b"<html>no</html>"))
            }
            Self::Refuse(status, code) => Answer::error(status, code, "as planned"),
            Self::SuccessWithError => Answer { status: 200, ..Answer::error(200, "InternalError", "as planned") },
            _ => Answer::new(200),
        }
    }

    pub(crate) fn spoil_request(self, request: &mut Request) {
        match self {
            Self::DamageUpload if !request.body.is_empty() => request.body = flip(&request.body),
            Self::TruncateUpload => request.body.truncate(request.body.len() / 2),
            Self::IgnoreRange => request.headers.retain(|(name, _)| name != "range"),
            Self::WrongRange => {
                for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "range") {
                    *value = "bytes=0-4".to_owned();
                }
            }
            _ => {}
        }
    }

    pub(crate) fn spoil_answer(self, answer: &mut Answer, operation: Operation) {
        let body = answer.body.clone();
        match self {
            Self::ShortLength if !body.is_empty() => answer.body = body.slice(..body.len() - 1),
            Self::LongLength => {
                answer.headers.push(("Content-Length".to_owned(), (body.len() + 10).to_string()));
            }
            Self::FlipBit if !body.is_empty() => answer.body = flip(&body),
            Self::WrongEcho => {
                for (_, value) in answer.headers.iter_mut().filter(|(name, _)| name == "x-amz-checksum-crc32c") {
                    *value = super::fake::checksum_of(b"another");
                }
            }
            Self::LoopListing | Self::LoseToken | Self::LoseKey if operation == Operation::List => {
                answer.body = Bytes::from(self.spoil_page(&body));
            }
            _ => {}
        }
    }

    fn spoil_page(self, page: &[u8]) -> String {
        let page = String::from_utf8(page.to_vec()).expect("UTF-8");
        match self {
            Self::LoopListing => {
                let (head, _) = page.split_once("<IsTruncated>").unwrap_or((&page, ""));
                let token = "<NextContinuationToken>!</NextContinuationToken>";
                format!("{head}<IsTruncated>true</IsTruncated>{token}</ListBucketResult>")
            }
            Self::LoseToken => {
                let (head, _) = page.split_once("<IsTruncated>").unwrap_or((&page, ""));
                format!("{head}<IsTruncated>true</IsTruncated></ListBucketResult>")
            }
            _ => match (page.find("<Contents>"), page.find("</Contents>")) {
                (Some(start), Some(end)) => [&page[..start], &page[end + "</Contents>".len()..]].concat(),
                _ => page,
            },
        }
    }

    /// Sends the answer as the fault has it; `wait` returns when the server stops.
    pub(crate) fn write(
        self,
        answer: &Answer,
        request: &Request,
        writer: &mut impl Write,
        wait: impl FnOnce(),
    ) -> io::Result<()> {
        let bytes = answer.bytes(request);
        match self {
            Self::LoseReply | Self::Reset | Self::ResetUpload => {}
            Self::CutAnswer => writer.write_all(&bytes[..bytes.len() / 2])?,
            Self::Silence => wait(),
            Self::StallAnswer => {
                writer.write_all(&bytes[..bytes.len() / 2])?;
                wait();
            }
            Self::Garbage => writer.write_all(b"\x00\x01 this is no answer\r\n\r\n")?,
            Self::AnswerTwice => {
                writer.write_all(&bytes)?;
                writer.write_all(&bytes)?;
            }
            _ => writer.write_all(&bytes)?,
        }
        writer.flush()
    }
}

fn flip(bytes: &Bytes) -> Bytes {
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    Bytes::from(flipped)
}
