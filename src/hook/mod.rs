//! Calls hooks: the thin shell between a policy's `[[hooks]]` and a [`HookAnswer`].
//!
//! The document goes in as JSON, on stdin or as the body of a POST, and one JSON document comes out. Whatever else happens is
//! [`HookAnswer::Failed`], which is no (S3). What an answer means is decided in `run`.

mod answer;
mod missing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::answer::answer_of;
pub(crate) use self::missing::missing;
use crate::model::{HookAnswer, HookDocument};
use crate::policy::{Headers, HookKind, HookSpec, Masked};
use crate::ports::{HookCaller, HookListener, RecordedHook};
use crate::probe::program::{Program, Said};
use crate::probe::web::{Ask, Body, Web};

/// A reason is for one line.
const LONGEST_REASON: usize = 300;

/// Calls both kinds.
pub(crate) struct HookPrograms {
    web: Web,
}

impl HookPrograms {
    pub(crate) fn new() -> Self {
        Self { web: Web::new() }
    }

    async fn ask(&self, text: String, spec: &HookSpec, said: Said<'_>) -> Result<HookAnswer, String> {
        match &spec.kind {
            HookKind::Exec { command } => run(command, text, spec.timeout, said).await,
            HookKind::Http { url, headers } => self.post(url, headers, text, spec.timeout).await,
        }
    }

    async fn post(
        &self,
        url: &Masked,
        headers: &Headers,
        text: String,
        timeout: Duration,
    ) -> Result<HookAnswer, String> {
        let ask = Ask {
            url: url.clone(),
            path: "",
            method: "POST".to_owned(),
            headers: headers.clone(),
            body: Some(Body { kind: "application/json", text }),
            statuses: vec![200],
            redirects: 0,
            max_age: None,
            timeout,
        };
        let read = |answer: &crate::probe::web::Answer| {
            answer.is_json()?;
            // A server may say what it was told in secret.
            answer_of(&answer.body).map(|said| said.map_texts(|text| answer.quoted(text, LONGEST_REASON)))
        };
        self.web.ask(ask, read).await
    }
}

async fn run(command: &[String], text: String, timeout: Duration, said: Said<'_>) -> Result<HookAnswer, String> {
    let program = Program { command, variables: &[], stdin: Some(text.into_bytes()) };
    let tried = program.tried();
    let output = program.run(timeout, said).await?;
    let answer = output.failure().map_or_else(|| answer_of(&output.stdout), Err);
    answer.map_err(|why| format!("{tried}: {why}"))
}

#[async_trait]
impl HookCaller for HookPrograms {
    async fn call(
        &self,
        recorded: RecordedHook,
        document: HookDocument,
        spec: &HookSpec,
        said: Arc<HookListener>,
    ) -> HookAnswer {
        tracing::info!(call = ?recorded.call(), "hook called");
        let answer = match serde_json::to_string(&document) {
            Ok(text) => self.ask(text, spec, said.as_ref()).await,
            Err(error) => Err(format!("its document cannot be written: {error}")),
        };
        let answer = answer.unwrap_or_else(|message| HookAnswer::Failed { message });
        tracing::info!(?answer, "hook answered");
        answer
    }
}

#[cfg(test)]
mod tests;
