"""stub"""
def write_outputs(folder, name, rows, slide, facts, mpp, outputs, simplify):
    import numpy as np
    np.save(folder / f"{name}.npy", rows.read(0, rows.size[0]))
    return {"areas": {}, "outputs": []}
