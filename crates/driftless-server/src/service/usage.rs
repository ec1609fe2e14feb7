//! DescribeIdentityUsage, DescribeIdentityPoolUsage and ListIdentityPoolUsage: sums over datasets.
//!
//! Nothing is counted beforehand, so the sums of pools cost a look at every dataset; they are for
//! an operator. Sessions are not counted, and `SyncSessionsCount` is null, as in the reference's
//! own sample.

use driftless_wire::{
    ApiError, DescribeIdentityPoolUsageResponse, DescribeIdentityUsageRequest,
    DescribeIdentityUsageResponse, ErrorCode, IdentityPoolId, IdentityPoolUsage, IdentityUsage,
    ListIdentityPoolUsageRequest, ListIdentityPoolUsageResponse, Timestamp, limits,
};

use super::list_records::page_size;
use super::{Service, invalid, owner, storage_failed};
use crate::storage::Live;

/// Datasets that are read at once.
const STRIDE: usize = 1_024;

/// A sum over datasets.
#[derive(Default)]
struct Sum {
    datasets: i32,
    bytes: i64,
    modified: Option<Timestamp>,
}

impl Sum {
    fn add(&mut self, live: &Live) {
        self.datasets = self.datasets.saturating_add(1);
        let bytes = i64::try_from(live.bytes).unwrap_or(i64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        self.modified = self.modified.max(Some(live.modified));
    }

    fn of_pool(self, pool: IdentityPoolId) -> IdentityPoolUsage {
        IdentityPoolUsage {
            identity_pool_id: pool,
            sync_sessions_count: None,
            data_storage: self.bytes,
            last_modified_date: self.modified,
        }
    }
}

impl Service {
    pub(super) fn identity_usage(
        &self,
        request: DescribeIdentityUsageRequest,
    ) -> Result<DescribeIdentityUsageResponse, ApiError> {
        let owner = owner(&request.identity_pool_id, &request.identity_id);
        let datasets = self
            .storage
            .list(&owner, None, usize::MAX)
            .map_err(storage_failed)?;
        if datasets.is_empty() && self.identity(&owner.identity)?.value.is_none() {
            return Err(ApiError::new(
                ErrorCode::ResourceNotFound,
                format!("Identity '{}' not found.", owner.identity),
            ));
        }
        let mut sum = Sum::default();
        datasets.iter().for_each(|(_, live)| sum.add(live));
        Ok(DescribeIdentityUsageResponse {
            identity_usage: IdentityUsage {
                identity_id: request.identity_id,
                identity_pool_id: request.identity_pool_id,
                last_modified_date: sum.modified,
                dataset_count: sum.datasets,
                data_storage: sum.bytes,
            },
        })
    }

    pub(super) fn pool_usage(
        &self,
        pool: IdentityPoolId,
    ) -> Result<DescribeIdentityPoolUsageResponse, ApiError> {
        let is_configured = self.pools.contains_key(&pool);
        let usages = self.pool_usages()?;
        let usage = usages
            .into_iter()
            .find(|usage| usage.identity_pool_id == pool);
        let identity_pool_usage = match usage {
            Some(usage) => usage,
            None if is_configured => Sum::default().of_pool(pool),
            None => {
                let message = format!("IdentityPool '{pool}' not found.");
                return Err(ApiError::new(ErrorCode::ResourceNotFound, message));
            }
        };
        Ok(DescribeIdentityPoolUsageResponse {
            identity_pool_usage,
        })
    }

    /// The token of a page is the id of its last pool.
    pub(super) fn list_pool_usage(
        &self,
        request: &ListIdentityPoolUsageRequest,
    ) -> Result<ListIdentityPoolUsageResponse, ApiError> {
        let after = request
            .next_token
            .as_deref()
            .map(str::parse::<IdentityPoolId>);
        let after = after
            .transpose()
            .map_err(|_| invalid("NextToken not valid for these inputs"))?;
        let limit = page_size(request.max_results, limits::DATASETS_PER_PAGE);
        let mut usages = self.pool_usages()?;
        usages.retain(|usage| Some(&usage.identity_pool_id) > after.as_ref());
        let more = usages.len() > limit;
        usages.truncate(limit);
        let last = usages.last().filter(|_| more);
        Ok(ListIdentityPoolUsageResponse {
            max_results: limit as i64,
            count: usages.len() as i64,
            next_token: last.map(|usage| usage.identity_pool_id.to_string()),
            identity_pool_usages: usages,
        })
    }

    /// The usage of each pool that has a dataset, by id.
    fn pool_usages(&self) -> Result<Vec<IdentityPoolUsage>, ApiError> {
        let mut sums: Vec<(IdentityPoolId, Sum)> = Vec::new();
        let mut after = None;
        loop {
            let found = self
                .storage
                .scan(after.as_ref(), STRIDE)
                .map_err(storage_failed)?;
            for (address, live) in &found {
                let pool = &address.owner.pool;
                if sums.last().is_none_or(|(last, _)| last != pool) {
                    sums.push((pool.clone(), Sum::default()));
                }
                if let Some((_, sum)) = sums.last_mut() {
                    sum.add(live);
                }
            }
            match found.into_iter().last() {
                Some((address, _)) => after = Some(address),
                None => break,
            }
        }
        Ok(sums
            .into_iter()
            .map(|(pool, sum)| sum.of_pool(pool))
            .collect())
    }
}
