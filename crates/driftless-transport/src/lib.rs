//! One signed exchange with Amazon Cognito Sync over hyper
