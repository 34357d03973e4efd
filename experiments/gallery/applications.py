"""The seven applications in words and formulas, for the gallery."""

from typing import NamedTuple


class Application(NamedTuple):
    """What the gallery says of an experiment.

    name: of the experiment, and of its package in sandbox. idea: three sentences.
    formula: the calculus in one line; objective, derivative: line by line, all in LaTeX; a page may break a line at
    its \\qquad.
    headline: the metric that speaks for it, the best first where several may be there, in words. picture: its figure.
    units: of what is logged while it learns. captions: of its figures.
    """

    name: str
    title: str
    idea: str
    formula: str
    objective: tuple[str, ...]
    derivative: tuple[str, ...]
    headline: dict[str, str]
    picture: str
    units: dict[str, str]
    captions: dict[str, str]


APPLICATIONS = (
    Application(
        "matrix_factorization", "Recommendations",
        "A rating is explained by who gave it, by what it was given to, and by how well the two fit: an inner product "
        "of two short vectors that nobody has ever measured. The gradient of the squared error finds them: each rating "
        "pulls a user towards the items that were liked more than foretold. Sampled instead of climbed, the same model "
        "gives every vector a distribution, and the mean of what they foretell errs least.",
        r"\frac{\partial L}{\partial p_u} \propto \sum_i \left( \lambda\, p_u - e_{ui}\, q_i \right)",
        (r"\hat r_{ui} = \mu + b_u + b_i + q_i^{\top} p_u , \qquad e_{ui} = r_{ui} - \hat r_{ui}",
         r"L = \frac{1}{N} \sum_{(u,i)} \left[ e_{ui}^2 + \lambda \left( b_u^2 + b_i^2 + \| p_u \|^2 + \| q_i \|^2 "
         r"\right) \right]"),
        (r"\frac{\partial L}{\partial p_u} = \frac{2}{N} \sum_{i} \left( \lambda\, p_u - e_{ui}\, q_i \right)",
         r"\frac{\partial L}{\partial b_u} = \frac{2}{N} \sum_{i} \left( \lambda\, b_u - e_{ui} \right)"),
        {"test_rmse": "test RMSE, rating units"}, "learning",
        {"test_rmse": "rating units", "train_rmse": "rating units", "noise_std": "rating units"},
        {"learning": "Test error while learning, a line a fold, and error by rank.",
         "posterior": "What the posterior claims of its errors, and how large they are.",
         "neighbours": "Items and those most like them, by the cosine of their factors."}),
    Application(
        "attention", "Language",
        "Each character asks a question of all before it and takes the mean of their answers, weighed by a softmax. "
        "Its Jacobian is a diagonal less an outer product, so it is applied and never formed, and memory grows with "
        "the length of the text instead of its square. Layer upon layer of it learns to guess the next character, and "
        "so to write.",
        r"\frac{\partial p}{\partial z} = \operatorname{diag}(p) - p\, p^{\top}",
        (r"o_i = \sum_j p_{ij}\, v_j , \qquad p_i = \operatorname{softmax}_j (z_{ij}) , \qquad "
         r"z_{ij} = \frac{\langle q_i , k_j \rangle}{\sqrt H}",
         r"L = - \frac{1}{T} \sum_{t} \log p \left( x_{t+1} \mid x_1 , \dots , x_t \right)"),
        (r"\frac{\partial p_i}{\partial z_j} = p_i \left( \delta_{ij} - p_j \right) , \qquad "
         r"\mathrm{d} p = p \circ \left( \mathrm{d} z - \langle p , \mathrm{d} z \rangle \right)",
         r"\frac{\partial (- \log p_y)}{\partial z} = p - e_y"),
        {"val_loss": "nats per character, unseen text"}, "jacobian", {"loss": "nats per token"},
        {"learning": "Loss while learning, and loss by how much of the text was seen before.",
         "attention": "Which characters each head looks at.",
         "jacobian": "The next character's probabilities, and their Jacobian by the logits."}),
    Application(
        "convolution", "Vision",
        "One small kernel slides over an image and answers at every place. Its gradient is the cross-correlation of "
        "what went in and of what came back, so learning to see is a convolution, too. Written as an operation that "
        "differentiation turns into itself, it keeps to the fast path of the compiler in every derivative.",
        r"\frac{\partial L}{\partial w[k]} = \sum_{p} x[p + k]\, \frac{\partial L}{\partial y[p]}",
        (r"y[n, p, o] = \sum_k \sum_i x[n,\; p s + k d - \ell,\; i]\; w[k, i, o]",
         r"L = - \frac{1}{N} \sum_n \log p_{n, y_n} , \qquad p_n = \operatorname{softmax} f(x_n)"),
        (r"\frac{\partial L}{\partial w[k, i, o]} = \sum_n \sum_p x[n,\; p s + k d - \ell,\; i]\; "
         r"\frac{\partial L}{\partial y[n, p, o]}",
         r"\frac{\partial L}{\partial x[n, q, i]} = \sum_k \sum_o \frac{\partial L}{\partial y[n,\; (q + \ell - k d) / "
         r"s,\; o]}\; w[k, i, o]"),
        {"test_accuracy": "share of unseen images told right"}, "weight_gradient", {"loss": "nats"},
        {"learning": "Training loss, and accuracy of every seed.", "filters": "Kernels of the first layer.",
         "weight_gradient": "The gradient of a kernel, as the cross-correlation that it is.",
         "confusion": "Which classes are taken for which.",
         "saliency": "Which pixels decide: the gradient by the image.",
         "mistakes": "Images that were told wrong."}),
    Application(
        "reinforce", "Reinforcement learning",
        "An agent tries, and makes likelier whatever went better than expected. The theorem says that this is the "
        "gradient of the return, though nobody differentiates the world: only the logarithm of the agent's own choice. "
        "What is subtracted as expectation changes nothing on average, and decides how noisy the gradient is.",
        r"\nabla J = \mathbb{E} \left[ (G - b)\, \nabla \log \pi (a \mid s) \right]",
        (r"J(\theta) = \mathbb{E}_{\pi_\theta} \left[ \sum_t r_t \right] , \qquad G_t = \sum_{t' \geq t} r_{t'}",
         r"L(\theta) = - \frac{1}{N} \sum_n \left[ \hat A_n \log \pi_\theta (a_n \mid s_n) + c\, "
         r"H \left( \pi_\theta ( \cdot \mid s_n ) \right) \right]"),
        (r"\nabla J(\theta) = \mathbb{E}_{\pi_\theta} \left[ \sum_t \left( G_t - b(s_t) \right) \nabla \log \pi_\theta "
         r"(a_t \mid s_t) \right]",
         r"\nabla_z \log \pi (a) = e_a - p , \qquad p = \operatorname{softmax} (z)"),
        {"solved_fraction": "share of agents that solved it", "mean_return": "mean return"}, "learning",
        {"return": "reward", "entropy_nats": "nats", "value_loss": "squared reward, scaled",
         "steps_used": "steps of the environment"},
        {"learning": "Return while learning, a line an agent.", "variance": "Variance of the gradient, by baseline.",
         "phase_plane": "What the agent does, and what it expects, in a plane of its states.",
         "episode": "One episode of the trained agent.", "returns": "Returns of each agent in gymnasium's own."}),
    Application(
        "kalman", "Sensor fusion",
        "A filter foretells where something is, measures, and believes each as far as it is certain. What is curved it "
        "takes as straight at every step, by the Jacobians of motion and measurement. How noisy its sensors are it "
        "learns from the likelihood of what it measured, without ever being told where the object was.",
        r"F = \frac{\partial f}{\partial x} , \quad K = P H^{\top} S^{-1}",
        (r"L(\theta) = - \sum_k \log \mathcal{N} \left( z_k - \hat z_k ;\; 0, S_k \right) , \qquad "
         r"S = H P H^{\top} + R",
         r"\hat x \leftarrow f(\hat x) , \qquad P \leftarrow F P F^{\top} + Q , \qquad K = P H^{\top} S^{-1}"),
        (r"F = \frac{\partial f}{\partial x} , \qquad H = \frac{\partial h}{\partial x}",
         r"- \frac{\partial \log \mathcal{N}}{\partial r} = S^{-1} r , \qquad "
         r"- \frac{\partial \log \mathcal{N}}{\partial S} = \frac{1}{2} \left( S^{-1} - S^{-1} r\, r^{\top} S^{-1} "
         r"\right) , \qquad r = z - \hat z"),
        {"rmse_position": "RMSE of position, m", "rmse_px": "RMSE of x, m"}, "track", {"loss": "nats per track"},
        {"track": "The true track, what was measured, what was filtered and smoothed.",
         "errors": "Errors, and what the filter claims of them.",
         "surprise": "Surprise by every measurement: in all, against its χ², and from one to the next.",
         "learning": "Negative log likelihood while learning."}),
    Application(
        "gan", "Generative adversarial networks",
        "A forger and a critic learn from each other, each down a gradient of its own. Together they follow a field "
        "that is the gradient of nothing: it may turn in circles, and the eigenvalues of its Jacobian tell whether it "
        "comes home. A penalty on the critic's slope gives them negative real parts, and lets the forgeries settle "
        "on what is real.",
        r"\lambda_{1,2} = - \frac{\gamma}{2} \pm \sqrt{\frac{\gamma^2}{4} - \frac{1}{4}}",
        (r"\min_G \, \max_D \; \mathbb{E} \left[ \log D(x) \right] + \mathbb{E} \left[ \log \left( 1 - D(G(z)) \right) "
         r"\right]",
         r"L_D = \mathbb{E} \left[ c_D \left( D(x), D(\tilde x) \right) \right] + \frac{\gamma_1}{2} R_1 + "
         r"\frac{\gamma_2}{2} R_2 , \qquad \tilde x = G(z)",
         r"R_1 = \mathbb{E} \| \nabla D(x) \|^2 , \qquad R_2 = \mathbb{E} \| \nabla D(\tilde x) \|^2"),
        (r"v(\theta, \psi) = - \begin{pmatrix} \nabla_\theta L_G \\ \nabla_\psi L_D \end{pmatrix} , \qquad v' = - "
         r"\begin{pmatrix} \nabla_{\theta \theta} L_G & \nabla_{\theta \psi} L_G \\ \nabla_{\psi \theta} L_D & "
         r"\nabla_{\psi \psi} L_D \end{pmatrix}",
         r"\lambda_{1,2} (v') = - \frac{\gamma}{2} \pm \sqrt{\frac{\gamma^2}{4} - \frac{1}{4}} \qquad "
         r"\text{of the smallest GAN, at rest}"),
        {"high_quality": "share of samples within 3σ of a mode",
         "classifier_accuracy": "told right, taught by forgeries"},
        "samples",
        {"generator": "loss", "discriminator": "loss", "generator_field_norm": "norm of its gradient",
         "discriminator_field_norm": "norm of its gradient"},
        {"learning": "What each player loses, and how far the game is from rest.",
         "dynamics": "The smallest GAN: six ways to play, and their eigenvalues.",
         "samples": "Forged points, real modes.",
         "every_seed": "Forged points of every seed.", "landscape": "The critic's logits, and where they draw a point.",
         "forged": "Forged images, and the training images nearest to them."}),
    Application(
        "score_matching", "Diffusion",
        "The score is the slope of the logarithm of a density: the way to likelier data. It is learned from data and "
        "noise alone, since its mean square error, but for a constant, can be told without knowing it. Along the score "
        "noise becomes data, and the divergence of that flow adds up to the exact logarithm of their density.",
        r"s = \nabla \log p \, \text{ by } \, \mathbb{E} \left[ \frac{1}{2} \| s \|^2 + \operatorname{tr} \nabla s "
        r"\right]",
        (r"L(\theta) = \mathbb{E} \left[ \lambda(t)\, \frac{1}{2} \left\| s_\theta (x_t, t) + "
         r"\frac{\varepsilon}{\sigma} \right\|^2 \right] , \qquad x_t = \alpha x + \sigma \varepsilon",
         r"\mathbb{E} \, \frac{1}{2} \| s - \nabla \log p \|^2 = \mathbb{E} \left[ \frac{1}{2} \| s \|^2 + "
         r"\operatorname{tr} \frac{\partial s}{\partial x} \right] + \text{const}"),
        (r"\nabla_\theta L = \mathbb{E} \left[ \lambda(t) \left( \frac{\partial s_\theta}{\partial \theta} "
         r"\right)^{\top} \left( s_\theta (x_t, t) + \frac{\varepsilon}{\sigma} \right) \right]",
         r"\frac{\mathrm{d} x}{\mathrm{d} t} = f x - \frac{1}{2} g^2 s , \qquad \frac{\mathrm{d} \log p}{\mathrm{d} t} "
         r"= - \operatorname{tr} \frac{\partial}{\partial x} \left( f x - \frac{1}{2} g^2 s \right)"),
        {"kl_nats": "nats from the truth", "bits_per_dim": "bits per dimension, unseen digits"}, "making", {},
        {"learning": "Losses while learning.", "field": "The learned score beside the true one.",
         "making": "Noise becoming data along the learned score.",
         "likelihood": "Likelihood by evaluations of the score.",
         "samplers": "Distance of samples to true points, by sampler and evaluations.",
         "made": "Made images, and the training images nearest to them.", "inpainting": "Missing parts filled in."}),
)
"""In the order of the page."""
