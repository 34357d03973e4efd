"""What to try with what an experiment has learned: cells of its notebook, a blank line between two of them."""

TRIES = {
    "attention": """\
print(result.model.write("The function ", num_tokens=100, temperature=0.8))

result.model.nats("an unlikely sentense").round(1)  # of each character but the first: high where it was not expected
""",
    "convolution": """\
image = read(config).judged.images[0]
result.model.classify(image)

result.model.saliency(image[None])[0, ..., 0].round(1)  # what the likeliest class hangs on
""",
    "gan": """\
points = result.model.forge(1000, seed=3)
result.model.realness(points[:5])  # logits: the higher, the more real

import matplotlib.pyplot as plt
plt.scatter(*points.T, s=2);
""",
    "kalman": """\
track = read(config).track
filtered, smoothed = result.model.smooth(track)
smoothed.rows.mean[-1]  # where it was at last: x, y, speed, heading, turn rate

import matplotlib.pyplot as plt
plt.plot(*smoothed.rows.mean[:, :2].T)
plt.axis("equal");
""",
    "matrix_factorization": """\
result.model.recommend(user_id=1, n=5)

result.model.recommend_for({"The Quiet Orchard": 4, "The Hollow Lantern": 2}, n=5)  # a new user: no training

result.model.similar("The Quiet Orchard")
""",
    "reinforce": """\
steps = result.model.play(seed=3)
steps.rewards.sum()  # of an episode

result.model.probabilities(steps.observations[:3])  # of each action, in what it saw first
""",
    "score_matching": """\
points = result.model.sample(1000, sampler="dpm-solver", evaluations=18)
result.model.log_density(points[:5])  # nats

import matplotlib.pyplot as plt
plt.scatter(*points.T, s=2);
""",
}
