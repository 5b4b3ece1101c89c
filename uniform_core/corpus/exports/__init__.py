"""A caption corpus as files for others: Parquet, CSV, a Hugging Face dataset folder, WebDataset shards."""
