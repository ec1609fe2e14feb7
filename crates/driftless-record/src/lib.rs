//! CRDT states and deltas of Driftless as Cognito Sync records
