"""The cost of tokens: those of an API, and those of self-hosted replicas."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, Variable
from promql import CLIENT_DURATION, CLIENT_TOKENS, TOKENS_PER_SECOND, rate

CALLED = 'gen_ai_request_model=~"$model"'
SERVED = 'model_name=~"$model"'

COST = Dashboard(
    uid="genai-cost",
    title="GenAI cost",
    description="API tokens by the price table of the recording rules, and the hourly price of self-hosted replicas per token.",
    variables=(Variable("model", "Model", f"{CLIENT_TOKENS}_sum", "gen_ai_request_model"),),
    rows=(
        Row(
            "API spend",
            (
                Panel(
                    title="Spend per hour",
                    description="The token rate of the last five minutes, as dollars per hour.",
                    unit="currencyUSD",
                    kind="stat",
                    queries=(Query(f"sum(model:genai_token_cost_usd:rate5m{{{CALLED}}}) * 3600", "all models"),),
                ),
                Panel(
                    title="Spend per hour, by model and token type",
                    description="The token rate of the last five minutes, as dollars per hour.",
                    unit="currencyUSD",
                    stacked=True,
                    queries=(
                        Query(
                            f"model:genai_token_cost_usd:rate5m{{{CALLED}}} * 3600",
                            "{{gen_ai_request_model}} {{gen_ai_token_type}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Price per million tokens",
                    description="For the present mix of input and output: long prompts lower it, long answers raise it.",
                    unit="currencyUSD",
                    queries=(
                        Query(
                            f"model:genai_token_cost_usd:per_million5m{{{CALLED}}}",
                            "{{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Price per thousand calls",
                    description="Cost per call in place of per token: it grows with the length of conversations.",
                    unit="currencyUSD",
                    queries=(
                        Query(
                            "1000 * sum by (gen_ai_request_model, gen_ai_provider_name)"
                            f" (model:genai_token_cost_usd:rate5m{{{CALLED}}})"
                            " / (sum by (gen_ai_request_model, gen_ai_provider_name)"
                            f" (rate({CLIENT_DURATION}_count{{{CALLED}}}[5m])) > 0)",
                            "{{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="Tokens without a price",
                    description="Tokens of models that the price table does not list: the panels above lack their cost.",
                    unit=TOKENS_PER_SECOND,
                    queries=(
                        Query(
                            f"{rate(f'{CLIENT_TOKENS}_sum', CALLED, 'gen_ai_request_model', 'gen_ai_token_type')}"
                            " unless on (gen_ai_request_model, gen_ai_token_type) genai:token_price_usd:per_million",
                            "{{gen_ai_request_model}} {{gen_ai_token_type}}",
                        ),
                    ),
                ),
                Panel(
                    title="Price table",
                    description="Dollars per million tokens, from deploy/prometheus/rules/cost.yaml.",
                    unit="currencyUSD",
                    kind="table",
                    queries=(Query("genai:token_price_usd:per_million", ""),),
                ),
            ),
        ),
        Row(
            "Self-hosted replicas",
            (
                Panel(
                    title="Self-hosted cost per million tokens",
                    description="Replicas are paid by the hour: the busier they are, the less a token costs.",
                    unit="currencyUSD",
                    width=12,
                    queries=(
                        Query(f"model:genai_replica_cost_usd:per_million5m{{{SERVED}}}", "{{model_name}}"),
                        Query(
                            f"model:genai_token_cost_usd:per_million5m{{{CALLED}}}",
                            "{{gen_ai_request_model}}, list price",
                        ),
                    ),
                ),
                Panel(
                    title="Replicas and saturation",
                    description="The number of replicas and their mean saturation: many replicas with low saturation are wasted money.",
                    unit="short",
                    width=12,
                    queries=(
                        Query(
                            f"count by (model_name) (instance:genai_saturation:max{{{SERVED}}})",
                            "{{model_name}} replicas",
                        ),
                        Query(f"model:genai_saturation:avg{{{SERVED}}}", "{{model_name}} saturation"),
                    ),
                ),
            ),
        ),
    ),
)
