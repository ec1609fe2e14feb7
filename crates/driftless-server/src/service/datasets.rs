//! DescribeDataset, ListDatasets and DeleteDataset: datasets as a whole.

use driftless_wire::{
    ApiError, Dataset, DatasetName, DeleteDatasetRequest, DeleteDatasetResponse,
    DescribeDatasetRequest, DescribeDatasetResponse, ErrorCode, ListDatasetsRequest,
    ListDatasetsResponse, limits,
};

use super::list_records::page_size;
use super::{ATTEMPTS, Service, address, invalid, owner, storage_failed, too_many_writers};
use crate::storage::{Address, Live, Owner, Selection, Swap};

impl Service {
    pub(super) fn describe_dataset(
        &self,
        request: &DescribeDatasetRequest,
    ) -> Result<DescribeDatasetResponse, ApiError> {
        let address = address(
            &request.identity_pool_id,
            &request.identity_id,
            &request.dataset_name,
        );
        let view = self
            .storage
            .read(&address, Selection::Head)
            .map_err(storage_failed)?;
        let live = view.head.live.ok_or_else(|| not_found(&address.dataset))?;
        Ok(DescribeDatasetResponse {
            dataset: described(&address.owner, address.dataset, live),
        })
    }

    /// The token of a page is the name of its last dataset: names do not move.
    pub(super) fn list_datasets(
        &self,
        request: &ListDatasetsRequest,
    ) -> Result<ListDatasetsResponse, ApiError> {
        let owner = owner(&request.identity_pool_id, &request.identity_id);
        let after = request
            .next_token
            .as_deref()
            .map(str::parse::<DatasetName>)
            .transpose();
        let after = after.map_err(|_| invalid("NextToken not valid for these inputs"))?;
        let limit = page_size(request.max_results, limits::DATASETS_PER_PAGE);
        let found = self.storage.list(&owner, after.as_ref(), limit + 1);
        let mut found = found.map_err(storage_failed)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next_token = found
            .last()
            .filter(|_| more)
            .map(|(name, _)| name.to_string());
        let datasets: Vec<_> = found
            .into_iter()
            .map(|(name, live)| described(&owner, name, live))
            .collect();
        Ok(ListDatasetsResponse {
            count: datasets.len() as i64,
            datasets,
            next_token,
        })
    }

    /// Answers with the dataset as it was.
    pub(super) fn delete_dataset(
        &self,
        request: &DeleteDatasetRequest,
    ) -> Result<DeleteDatasetResponse, ApiError> {
        let address = address(
            &request.identity_pool_id,
            &request.identity_id,
            &request.dataset_name,
        );
        for _ in 0..ATTEMPTS {
            let view = self
                .storage
                .read(&address, Selection::Head)
                .map_err(storage_failed)?;
            let live = view.head.live.ok_or_else(|| not_found(&address.dataset))?;
            match self
                .storage
                .delete(&address, view.head.count)
                .map_err(storage_failed)?
            {
                Swap::Done => {
                    let Address { owner, dataset } = address;
                    return Ok(DeleteDatasetResponse {
                        dataset: described(&owner, dataset, live),
                    });
                }
                Swap::Moved => {}
            }
        }
        Err(too_many_writers())
    }
}

fn described(owner: &Owner, name: DatasetName, live: Live) -> Dataset {
    Dataset {
        identity_id: owner.identity.clone(),
        dataset_name: name,
        creation_date: Some(live.created),
        last_modified_date: Some(live.modified),
        last_modified_by: Some(live.modified_by),
        data_storage: i64::try_from(live.bytes).unwrap_or(i64::MAX),
        num_records: i64::try_from(live.records).unwrap_or(i64::MAX),
    }
}

pub(super) fn not_found(name: &DatasetName) -> ApiError {
    ApiError::new(
        ErrorCode::ResourceNotFound,
        format!("Dataset {name} does not exist"),
    )
}
