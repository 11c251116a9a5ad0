"""What tokens cost, bought or made."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, Variable
from promql import CLIENT_DURATION, CLIENT_TOKENS, TOKENS_PER_SECOND, rate

CALLED = 'gen_ai_request_model=~"$model"'
SERVED = 'model_name=~"$model"'

COST = Dashboard(
    uid="genai-cost",
    title="GenAI cost",
    description="Tokens by the price table of the recording rules, and what one's own replicas make of their hours.",
    variables=(Variable("model", "Model", f"{CLIENT_TOKENS}_sum", "gen_ai_request_model"),),
    rows=(
        Row(
            "Bought",
            (
                Panel(
                    title="An hour at this pace",
                    description="What the tokens of the last five minutes would cost in an hour.",
                    unit="currencyUSD",
                    kind="stat",
                    queries=(Query(f"sum(model:genai_token_cost_usd:rate5m{{{CALLED}}}) * 3600", "all models"),),
                ),
                Panel(
                    title="By model and type",
                    description="Dollars an hour.",
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
                    title="A million tokens",
                    description="Input and output as they are mixed at present: long prompts make it cheaper, long answers dearer.",
                    unit="currencyUSD",
                    queries=(
                        Query(
                            f"model:genai_token_cost_usd:per_million5m{{{CALLED}}}",
                            "{{gen_ai_request_model}} ({{gen_ai_provider_name}})",
                        ),
                    ),
                ),
                Panel(
                    title="A thousand calls",
                    description="Cost by calls rather than by tokens: it grows with the length of conversations.",
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
                    description="Models that the price table does not know: their cost is missing above.",
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
                    description="Dollars for a million tokens: deploy/prometheus/rules/cost.yaml.",
                    unit="currencyUSD",
                    kind="table",
                    queries=(Query("genai:token_price_usd:per_million", ""),),
                ),
            ),
        ),
        Row(
            "One's own replicas",
            (
                Panel(
                    title="A million tokens, from one's own replicas",
                    description="Replicas are paid by the hour: the busier they are, the cheaper a token.",
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
                    title="Replicas and their load",
                    description="How many there are, and their mean saturation: much of the one and little of the other is money lost.",
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
