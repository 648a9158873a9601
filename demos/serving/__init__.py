"""An example of a service: one loaded model, a pipeline and a plan for each request (docs/serving.md)."""
