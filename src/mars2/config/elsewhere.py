"""What other trainers call our settings, so that an unknown key is answered with the right one."""

from __future__ import annotations

_NORMALISATION = (
    'objective.normalisation: "sample" (grpo, seq-mean-token-mean), "token" (dapo, token-mean) or '
    '"dr_grpo" (seq-mean-token-sum-norm)'
)
_CLIP = "objective.epsilon_low and objective.epsilon_high"
_CORRECTION = (
    'objective.correction ("off", "token", "sequence") and objective.correction_mode '
    '("truncate", "mask")'
)
_MINIBATCHES = "learner.minibatches, optimizer steps for each batch of rollouts"

ELSEWHERE: dict[str, str] = {
    # TRL
    "loss_type": _NORMALISATION,
    "importance_sampling_level": "objective.level",
    "epsilon": _CLIP,
    "delta": "objective.dual_clip",
    "beta": "objective.kl_beta",
    "use_bias_correction_kl": "objective.kl_bias_correction",
    "vllm_importance_sampling_correction": _CORRECTION,
    "vllm_importance_sampling_mode": _CORRECTION,
    "vllm_importance_sampling_cap": "objective.correction_cap",
    "vllm_importance_sampling_clip_max": "objective.correction_cap",
    "vllm_importance_sampling_clip_min": "objective.correction_floor",
    "mask_truncated_completions": 'credit.truncated = "mask"',
    "num_generations": "search.nodes",
    "max_completion_length": "max_tokens of an agent",
    "steps_per_generation": _MINIBATCHES,
    "learning_rate": "learner.lr",
    # verl
    "loss_agg_mode": _NORMALISATION,
    "clip_ratio": _CLIP,
    "clip_ratio_low": "objective.epsilon_low",
    "clip_ratio_high": "objective.epsilon_high",
    "clip_ratio_c": "objective.dual_clip",
    "kl_loss_coef": "objective.kl_beta",
    "kl_loss_type": 'objective.kl_estimator: "k1" (kl), "k2" (mse) or "k3" (low_var_kl)',
    "entropy_coeff": "objective.entropy_coef",
    "rollout_is": _CORRECTION,
    "rollout_is_threshold": "objective.correction_cap",
    "norm_adv_by_std_in_grpo": 'credit.scale_rewards = "group" (true) or "none" (false)',
    # OpenRLHF
    "eps_clip": _CLIP,
    "eps_clip_low_high": _CLIP,
    "init_kl_coef": "objective.kl_beta",
    "entropy_loss_coef": "objective.entropy_coef",
    "overlong_buffer_len": "credit.overlong_buffer",
    "stop_properly_penalty_coef": 'credit.truncated = "penalise" with credit.truncated_coef',
    "n_samples_per_prompt": "search.nodes",
    "dynamic_filtering": "train.refill_rounds; groups without variance are always left out",
}
