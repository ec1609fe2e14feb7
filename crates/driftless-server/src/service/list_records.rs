//! ListRecords: what changed since a count, and where the dataset stands.
//!
//! Records come by count and then by key, and a record that changes moves to the end. So a list
//! in pages shows every record in its newest form by its last page, whatever was pushed meanwhile:
//! what a page has shown and a push has changed since is shown again, later. Each page has the
//! count that the dataset stood at when it was read. They differ exactly if a push came between;
//! then the pages, the later before the earlier, are the dataset at the count of the last one.

use driftless_wire::{
    ApiError, ListRecordsRequest, ListRecordsResponse, SyncCount, Timestamp, limits,
};

use super::{Service, address, invalid, storage_failed};
use crate::storage::{Address, Head, Place, Selection, View};
use crate::token::{Page, Session};

impl Service {
    pub(super) fn list_records(
        &self,
        request: &ListRecordsRequest,
        now: Timestamp,
    ) -> Result<ListRecordsResponse, ApiError> {
        let address = address(
            &request.identity_pool_id,
            &request.identity_id,
            &request.dataset_name,
        );
        let since = request.last_sync_count.unwrap_or_default();
        let page = self.page(&address, request, since, now)?;
        let session = self.list_session(&address, request, page.as_ref(), now)?;
        let limit = page_size(request.max_results, limits::RECORDS_PER_PAGE);

        let mut view = self.view(&address, since, page.as_ref(), limit + 1)?;
        let deleted = view.head.count > SyncCount::ZERO
            && since > SyncCount::ZERO
            && (view.head.live.is_none() || since < view.head.deleted_at);
        let existing = view.head.live.is_some();
        let shown = shown_count(&view.head);
        // A client after a loss of data on the server, or with the count of another identity.
        if !deleted && since > shown {
            return Err(invalid(format!(
                "No such SyncCount: {since} exists for this Dataset"
            )));
        }
        let more = view.records.len() > limit;
        view.records.truncate(limit);
        let next = view.records.last().filter(|_| more).map(|last| Page {
            session,
            since,
            deleted_at: view.head.deleted_at,
            place: Place {
                count: last.sync_count,
                key: Some(last.key.clone()),
            },
        });
        Ok(ListRecordsResponse {
            count: view.records.len() as i64,
            records: view.records,
            next_token: next.map(|next| self.tokens.page_token(&address, &next)),
            dataset_sync_count: shown,
            last_modified_by: view.head.live.map(|live| live.modified_by),
            merged_dataset_names: self.merged_into(&address)?,
            dataset_exists: existing,
            dataset_deleted_after_requested_sync_count: deleted,
            sync_session_token: Some(self.tokens.session_token(&address, session)),
        })
    }

    fn page(
        &self,
        address: &Address,
        request: &ListRecordsRequest,
        since: SyncCount,
        now: Timestamp,
    ) -> Result<Option<Page>, ApiError> {
        let Some(text) = &request.next_token else {
            return Ok(None);
        };
        match self.tokens.page(address, text, now) {
            Some(page) if page.since == since => Ok(Some(page)),
            _ => Err(bad_page()),
        }
    }

    fn list_session(
        &self,
        address: &Address,
        request: &ListRecordsRequest,
        page: Option<&Page>,
        now: Timestamp,
    ) -> Result<Session, ApiError> {
        match (&request.sync_session_token, page) {
            (Some(token), _) => self
                .tokens
                .session(address, token.as_str(), now)
                .ok_or_else(bad_session),
            (None, Some(page)) => Ok(page.session),
            (None, None) => Ok(self.tokens.issue(now)),
        }
    }

    fn view(
        &self,
        address: &Address,
        since: SyncCount,
        page: Option<&Page>,
        limit: usize,
    ) -> Result<View, ApiError> {
        let read = |place: &Place| {
            self.storage
                .read(address, Selection::After(place, limit))
                .map_err(storage_failed)
        };
        if let Some(page) = page {
            let view = read(&page.place)?;
            // The records of the earlier pages are gone; no later page could say so.
            return if view.head.deleted_at == page.deleted_at && view.head.live.is_some() {
                Ok(view)
            } else {
                Err(bad_page())
            };
        }
        let view = read(&Place {
            count: since,
            key: None,
        })?;
        // The counts of an earlier life say nothing about this one: everything is new.
        if since < view.head.deleted_at {
            return read(&Place {
                count: SyncCount::ZERO,
                key: None,
            });
        }
        Ok(view)
    }
}

/// The count that a list tells: 1 of a dataset that a merge has moved and nobody has changed since,
/// as the service was seen to say of it, whatever the counts of its records.
fn shown_count(head: &Head) -> SyncCount {
    match head.live {
        None => SyncCount::ZERO,
        Some(_) if head.adopted_at == head.count => SyncCount::ZERO.next(),
        Some(_) => head.count,
    }
}

pub(super) fn page_size(asked: Option<u32>, most: u32) -> usize {
    asked.unwrap_or(most).clamp(1, most) as usize
}

fn bad_page() -> ApiError {
    invalid("NextToken not valid for these inputs")
}

pub(super) fn bad_session() -> ApiError {
    invalid("SyncSessionToken not valid for these inputs")
}
